//! What holds for any text that is read as a config. A test and the fuzz target in `host/fuzz` check it.
#![allow(clippy::panic, reason = "this is what a failed test does")]

use std::path::Path;

use super::{Config, Problem};

/// The password in the inputs.
const PASSWORD: &str = "hunter2";

/// Check one text.
///
/// # Panics
/// If a property does not hold.
pub(crate) fn check(text: &str) {
    let said = match Config::parse(Path::new("hassock.toml"), text) {
        // Elsewhere it is not known to be one.
        Ok(config) => config.databases.values().map(|database| format!("{database:?}")).collect(),
        Err(problems) => {
            assert!(!problems.0.is_empty(), "it is refused without a problem");
            problems.0.iter().for_each(|problem| check_problem(text, problem));
            problems.to_string()
        }
    };
    assert!(!is_secret(text) || !said.contains(PASSWORD), "{said}");
}

/// A problem is about a place that exists, and takes one line of the log.
fn check_problem(text: &str, problem: &Problem) {
    let lines = 1..=text.matches('\n').count() + 1;
    assert!(problem.line.is_none_or(|line| lines.contains(&line)), "no such line: {problem}");
    assert!(!problem.message.is_empty() && !problem.message.contains('\n'), "{problem}");
}

/// Whether the password is the password of a URL wherever it occurs. Escapes can write it in other ways.
fn is_secret(text: &str) -> bool {
    !text.contains('\\')
        && text.match_indices(PASSWORD).all(|(at, _)| {
            let (before, after) = (text.get(..at), text.get(at + PASSWORD.len()..));
            let url =
                before.and_then(|before| before.rsplit(|end: char| end.is_whitespace() || "\"'`".contains(end)).next());
            url.is_some_and(|url| url.contains("://") && url.ends_with(':'))
                && after.is_some_and(|after| after.starts_with('@'))
        })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// `host/fuzz/run config` looks for further inputs.
    #[test]
    fn the_corpus_of_the_fuzz_target_has_all_properties() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/config");
        let read = |file: fs::DirEntry| fs::read_to_string(file.path()).unwrap();
        let texts: Vec<String> = fs::read_dir(folder).unwrap().map(|file| read(file.unwrap())).collect();
        assert!(texts.len() >= 20, "{} files", texts.len());
        texts.iter().for_each(|text| super::check(text));
    }
}
