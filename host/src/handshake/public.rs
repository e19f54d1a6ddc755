//! The folder `public` of an app, which `hassock dev` serves: a page and what belongs to it. In production, a web server or
//! a CDN does that.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use http::{Method, Request};
use percent_encoding::percent_decode_str;
use tokio::task::spawn_blocking;

use super::answer::{self, Answer};

/// A larger file is not read into memory. It would be of no use in a page under development, and is likely a mistake.
const LARGEST: u64 = 64 << 20;

/// The file for a path that ends in a slash.
const INDEX: &str = "index.html";

/// The types of files that pages consist of.
const TYPES: [(&str, &str); 24] = [
    ("avif", "image/avif"),
    ("css", "text/css; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
];

/// Respond to a plain HTTP request if there is a file for it.
pub(super) async fn respond<B>(request: &Request<B>, folder: Option<&Path>) -> Option<Answer> {
    let folder = folder?.to_owned();
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return None;
    }
    let name = name(request.uri().path())?;
    let content_type = content_type(&name);
    let content = spawn_blocking(move || read(&folder, &name)).await.ok()?.ok()?;
    Some(answer::public_file(content, content_type))
}

/// The path of a file within the folder. None if a request must not name it: what is hidden, or outside.
fn name(path: &str) -> Option<PathBuf> {
    let decoded = percent_decode_str(path.strip_prefix('/')?).decode_utf8().ok()?;
    let file = match decoded.is_empty() || decoded.ends_with('/') {
        true => format!("{decoded}{INDEX}"),
        false => decoded.into_owned(),
    };
    let is_allowed = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']);
    file.split('/').all(is_allowed).then(|| file.into())
}

/// Read a file that is in the folder, also if there are links on the way.
fn read(folder: &Path, name: &Path) -> io::Result<Vec<u8>> {
    let (folder, path) = (folder.canonicalize()?, folder.join(name).canonicalize()?);
    if !path.starts_with(folder) || !fs::metadata(&path)?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut content = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut content)?;
    match content.len() as u64 > LARGEST {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(content),
    }
}

fn content_type(name: &Path) -> &'static str {
    let ending = name.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let known = TYPES.iter().find(|(known, _)| *known == ending);
    known.map_or("application/octet-stream", |(_, content_type)| content_type)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_names_a_file() {
        for (path, file) in [
            ("/", "index.html"),
            ("/a.js", "a.js"),
            ("/a/b.css", "a/b.css"),
            ("/a/", "a/index.html"),
            ("/caf%C3%A9%20.png", "café .png"),
            ("/a%2Fb", "a/b"),
        ] {
            assert_eq!(name(path).as_deref(), Some(Path::new(file)), "{path}");
        }
    }

    #[test]
    fn what_is_hidden_or_outside_has_no_name() {
        for path in [
            "",
            "*",
            "//etc/passwd",
            "/../secret",
            "/a/../../secret",
            "/%2e%2e/secret",
            "/%2E%2E%2Fsecret",
            "/%2Fetc/passwd",
            "/.git/config",
            "/a/.env",
            "/a//b",
            "/./a",
            "/a%00.js",
            "/..%5csecret",
            "/%ff",
        ] {
            assert_eq!(name(path), None, "{path}");
        }
    }

    #[test]
    fn links_may_not_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let public = folder.path().join("public");
        fs::create_dir_all(public.join("a")).unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        fs::write(public.join("a/page"), "page").unwrap();
        symlink("../secret", public.join("out")).unwrap();
        symlink(folder.path(), public.join("up")).unwrap();
        symlink("a", public.join("b")).unwrap();
        symlink("nothing", public.join("broken")).unwrap();
        let read = |name: &str| read(&public, Path::new(name)).ok();
        assert_eq!(read("a/page").as_deref(), Some(b"page".as_slice()));
        assert_eq!(read("b/page").as_deref(), Some(b"page".as_slice()));
        for name in ["out", "up/secret", "up/public/../secret", "broken", "a", "none"] {
            assert_eq!(read(name), None, "{name}");
        }
    }

    #[test]
    fn a_huge_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("huge")).unwrap().set_len(LARGEST + 1).unwrap();
        assert_eq!(read(folder.path(), Path::new("huge")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn types_are_sorted_and_found_in_any_case() {
        assert!(TYPES.is_sorted());
        for (file, expected) in [
            ("a.HTML", "text/html; charset=utf-8"),
            ("a.b.js", "text/javascript; charset=utf-8"),
            ("a", "application/octet-stream"),
        ] {
            assert_eq!(content_type(Path::new(file)), expected);
        }
    }
}
