//! The layers of the host: a module uses only modules that `lib.rs` declares before it, so that there is no cycle.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// One import: where it is, and the top-level module that it names.
#[derive(Debug)]
struct Import {
    place: String,
    from: String,
    to: String,
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The top-level modules in the order in which `lib.rs` declares them.
fn layers(lib: &str) -> Vec<String> {
    let declaration = Regex::new(r"(?m)^(?:pub(?:\(crate\))? )?mod ([a-z_]+);").unwrap();
    declaration.captures_iter(lib).map(|found| found[1].to_owned()).collect()
}

/// All source files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The imports of one file. `place` is its path below `src`.
fn imports(place: &str, text: &str) -> Vec<Import> {
    // Not anchored at `use`: a path in an expression is a dependency too.
    let named = Regex::new(r"\b(?:(crate)|((?:super::)*super))::(?:\{([^;]*?)\}\s*;|([A-Za-z_]\w*))").unwrap();
    let code: String = text.lines().map(|line| format!("{}\n", line.split("//").next().unwrap_or_default())).collect();
    let path: Vec<&str> = place.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
    let from = path[0].to_owned();
    named
        .captures_iter(&code)
        .filter(|found| match found.get(2) {
            // As many steps up as the file is deep lead to the top. Inline modules lie deeper and only shorten the way.
            Some(steps) => steps.as_str().split("::").count() >= path.len(),
            None => true,
        })
        .flat_map(|found| match (found.get(3), found.get(4)) {
            (Some(group), _) => heads(group.as_str()),
            (None, Some(name)) => vec![name.as_str().to_owned()],
            (None, None) => Vec::new(),
        })
        .map(|to| Import { place: place.to_owned(), from: from.clone(), to })
        .collect()
}

/// The first names of a group: `a` and `b` of `a::{x, y}, b::z`.
fn heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = vec![String::new()];
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(String::new()),
            _ if depth == 0 => heads.last_mut().unwrap().push(character),
            _ => {}
        }
    }
    heads.iter().map(|head| head.trim().split("::").next().unwrap_or_default().to_owned()).collect()
}

/// A sentence for each import of a module that is not below the one that imports it.
fn violations(layers: &[String], imports: &[Import]) -> Vec<String> {
    let layer = |name: &str| layers.iter().position(|layer| layer == name);
    let wrong = imports.iter().filter(|import| match (layer(&import.from), layer(&import.to)) {
        (Some(from), Some(to)) => to > from,
        _ => false,
    });
    wrong
        .map(|Import { place, from, to }| {
            format!("{place} uses crate::{to}, which `lib.rs` declares after `{from}`: move what they share down")
        })
        .collect()
}

#[test]
fn each_module_uses_only_those_declared_before_it() {
    let layers = layers(&fs::read_to_string(source().join("lib.rs")).unwrap());
    assert!(layers.len() > 15, "{layers:?}");
    let imports: Vec<Import> = files(&source())
        .iter()
        .flat_map(|file| {
            let place = file.strip_prefix(source()).unwrap().to_string_lossy().into_owned();
            imports(&place, &fs::read_to_string(file).unwrap())
        })
        .filter(|import| !["lib", "main", "layers"].contains(&import.from.as_str()))
        .collect();
    assert!(imports.len() > 200, "only {} imports were found", imports.len());
    let violations = violations(&layers, &imports);
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn an_import_of_a_higher_layer_is_named() {
    let layers = layers("mod text;\npub mod module;\npub(crate) mod session;\n");
    let text =
        "use crate::{text, session::{Read, Write}};\n// crate::session\nfn f() { super::super::session::run() }\n";
    let violations = violations(&layers, &imports("module/call.rs", text));
    assert_eq!(violations.len(), 2, "{violations:?}");
    assert!(violations[0].contains("module/call.rs uses crate::session"), "{violations:?}");
}
