//! Which names in which folders decide what a file is.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// As many links as Linux follows before it says that they go in circles.
const MAX_LINKS: usize = 40;

/// The names on the way to `file` whose change can change what it holds, each below a real folder: every link,
/// and in the end the file itself. A switched link is how many deploy, be it the file or a folder above it.
///
/// If the way ends early, the name that is missing, and the folder that should have it: who removes a file may
/// remove its folder next, and nobody tells those who watch a folder of its end while a process stands in it.
pub(super) fn trace(file: &Path) -> Vec<PathBuf> {
    let mut rest = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let (mut names, mut folder, mut links) = (Vec::new(), PathBuf::new(), 0);
    while let Some((part, tail)) = split(&rest) {
        let path = enter(&folder, part);
        match fs::symlink_metadata(&path).map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_symlink() && links < MAX_LINKS => {
                links += 1;
                rest = fs::read_link(&path).unwrap_or_default().join(tail);
                names.push(path);
            }
            Ok(kind) if kind.is_dir() && !tail.as_os_str().is_empty() => (folder, rest) = (path, tail),
            Ok(_) => {
                names.push(path);
                break;
            }
            Err(_) => {
                names.extend([path, folder]);
                break;
            }
        }
    }
    names
}

fn split(path: &Path) -> Option<(Component<'_>, PathBuf)> {
    let mut parts = path.components();
    let first = parts.next()?;
    Some((first, parts.as_path().to_owned()))
}

/// `folder` is real: it has no links on its way.
fn enter(folder: &Path, part: Component<'_>) -> PathBuf {
    match part {
        Component::ParentDir => folder.parent().unwrap_or(folder).to_owned(),
        Component::CurDir => folder.to_owned(),
        // To join the root gives the root.
        Component::RootDir | Component::Prefix(_) | Component::Normal(_) => folder.join(part),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_on_the_way_count_and_plain_folders_do_not() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("releases/1")).unwrap();
        fs::write(root.join("releases/1/chat-1.wasm"), "1").unwrap();
        symlink("chat-1.wasm", root.join("releases/1/chat.wasm")).unwrap();
        symlink("./releases/../releases/1", root.join("current")).unwrap();
        symlink(root.join("current/chat.wasm"), root.join("chat.wasm")).unwrap();
        let expected =
            ["chat.wasm", "current", "releases/1/chat.wasm", "releases/1/chat-1.wasm"].map(|name| root.join(name));
        assert_eq!(trace(&root.join("chat.wasm")), expected);
        assert_eq!(trace(&root.join("releases/./1/../1/chat-1.wasm")), [root.join("releases/1/chat-1.wasm")]);
    }

    #[test]
    fn a_way_that_ends_early_ends_with_what_is_missing() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        assert_eq!(trace(&root.join("a/b/chat.wasm")), [root.join("a"), root.clone()]);
        fs::create_dir_all(root.join("a/b")).unwrap();
        assert_eq!(trace(&root.join("a/b/chat.wasm")), [root.join("a/b/chat.wasm"), root.join("a/b")]);
        symlink("nowhere", root.join("link")).unwrap();
        assert_eq!(trace(&root.join("link")), [root.join("link"), root.join("nowhere"), root.clone()]);
    }

    #[test]
    fn links_in_a_circle_end() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        let names = trace(&root.join("a"));
        assert!(names.iter().all(|name| [root.join("a"), root.join("b")].contains(name)));
        assert_eq!(names.len(), MAX_LINKS + 1);
    }
}
