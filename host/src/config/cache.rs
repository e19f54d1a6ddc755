//! `[cache]`: where compiled modules are kept between runs.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Size;

/// Where compiled modules are kept between runs, so that a restart or a rollback need not compile them again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// The folder, relative to the config file. It must belong to the host's user alone and hold nothing else. Without
    /// the key: the folder of systemd's `CacheDirectory=`, or `hassock` in the user's cache folder.
    #[cfg_attr(test, schemars(extend("format" = "path")))]
    pub directory: Option<PathBuf>,
    /// Bytes of all files in it. Compiled code is a few times as large as its module, and each version that was
    /// deployed leaves some: the files that were not used for longest make room. `"0B"` keeps nothing.
    pub bytes: Size,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { directory: None, bytes: Size::mebibytes(1024) }
    }
}

impl CacheConfig {
    /// The folder to use, for a config file in `base`. None if the cache is switched off, or if neither the
    /// config nor the environment names a folder.
    pub fn folder(&self, base: &Path) -> Option<PathBuf> {
        self.folder_in(base, |name| env::var_os(name))
    }

    fn folder_in(&self, base: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        if self.bytes.bytes() == 0 {
            return None;
        }
        if let Some(directory) = &self.directory {
            return Some(base.join(directory));
        }
        // A relative one would move with the folder in which the host is started; XDG says to ignore it.
        let absolute = |path: PathBuf| path.is_absolute().then_some(path);
        // systemd separates several with colons.
        let systemd = || variable("CACHE_DIRECTORY").and_then(|list| env::split_paths(&list).next()).and_then(absolute);
        let user = || variable("XDG_CACHE_HOME").map(PathBuf::from).and_then(absolute);
        let home = || variable("HOME").map(PathBuf::from).and_then(absolute).map(|home| home.join(".cache"));
        systemd().or_else(|| user().or_else(home).map(|folder| folder.join("hassock")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn folder(cache: &CacheConfig, variables: &[(&str, &str)]) -> Option<PathBuf> {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        cache.folder_in(Path::new("/etc/hassock"), variable)
    }

    fn parse(text: &str) -> Result<CacheConfig, String> {
        let text = format!("[apps.a]\npath = \"/a\"\nmodule = \"a.wasm\"\n[cache]\n{text}");
        let config = Config::parse(Path::new("hassock.toml"), &text);
        config.map(|config| config.cache).map_err(|problems| problems.to_string())
    }

    #[test]
    fn the_nearest_folder_is_taken() {
        let (systemd, xdg) = (("CACHE_DIRECTORY", "/var/cache/hassock:/var/cache/x"), ("XDG_CACHE_HOME", "/x"));
        let home = ("HOME", "/home/u");
        let cache = CacheConfig { directory: Some("code".into()), ..CacheConfig::default() };
        assert_eq!(folder(&cache, &[systemd, xdg, home]), Some("/etc/hassock/code".into()));
        let cache = CacheConfig::default();
        assert_eq!(folder(&cache, &[systemd, xdg, home]), Some("/var/cache/hassock".into()));
        assert_eq!(folder(&cache, &[xdg, home]), Some("/x/hassock".into()));
        assert_eq!(folder(&cache, &[home]), Some("/home/u/.cache/hassock".into()));
        assert_eq!(folder(&cache, &[]), None);
    }

    #[test]
    fn relative_and_empty_variables_do_not_count() {
        let cache = CacheConfig::default();
        let nowhere = [("CACHE_DIRECTORY", ""), ("XDG_CACHE_HOME", "cache"), ("HOME", "")];
        assert_eq!(folder(&cache, &nowhere), None);
        let home = [("CACHE_DIRECTORY", "rel"), ("XDG_CACHE_HOME", ""), ("HOME", "/h")];
        assert_eq!(folder(&cache, &home), Some("/h/.cache/hassock".into()));
    }

    #[test]
    fn zero_bytes_switch_it_off() {
        for zero in ["\"0B\"", "\"0\"", "0"] {
            let cache = parse(&format!("bytes = {zero}\ndirectory = \"code\"")).unwrap();
            assert_eq!(folder(&cache, &[("HOME", "/h")]), None, "{zero}");
        }
        assert_eq!(parse("bytes = \"2GiB\"").unwrap().bytes.bytes(), 2 << 30);
    }

    #[test]
    fn an_empty_folder_name_is_a_problem() {
        let problem = parse("directory = \"\"").unwrap_err();
        assert!(problem.contains("hassock.toml:5: cache.directory: is empty"), "{problem}");
    }
}
