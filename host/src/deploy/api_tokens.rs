//! The tokens of the API, as a config has them: read from their files, and compared with what a client presents.

use std::path::Path;
use std::sync::Arc;

use super::Control;
use crate::app::App;
use crate::config::{ApiConfig, ApiTokenConfig, AppsOfAToken, Config, Problem, Problems, Scope};
use crate::token::{Token, TokenError};

/// All tokens of a config.
#[derive(Debug, Default)]
pub struct ApiTokens(Vec<Arc<ApiToken>>);

/// A token of the API.
#[derive(Debug)]
pub struct ApiToken {
    /// Its name in the config.
    pub name: String,
    secret: Token,
    apps: AppsOfAToken,
    scopes: Vec<Scope>,
}

impl Control {
    /// The tokens of the API.
    pub(crate) fn api_tokens(&self) -> Arc<ApiTokens> {
        self.serving().tokens
    }

    /// The app with that name, if it runs.
    pub(crate) fn running_app(&self, name: &str) -> Option<Arc<App>> {
        self.serving().apps.get(name).cloned()
    }
}

impl ApiTokens {
    /// Read the tokens of a config.
    ///
    /// # Errors
    /// All that cannot be used, each with its key.
    pub fn load(config: &Config) -> Result<Self, Problems> {
        let Some(ApiConfig { tokens, .. }) = &config.api else { return Ok(Self::default()) };
        let (mut loaded, mut problems) = (Self::default(), Problems::default());
        for (name, token) in tokens {
            match loaded.read(name, token, config.locator.folder()) {
                Ok(token) => loaded.0.push(Arc::new(token)),
                Err((key, message)) => problems.0.push(problem(config, name, key, message)),
            }
        }
        if problems.0.is_empty() { Ok(loaded) } else { Err(problems) }
    }

    /// The token that a client presents. The time that this takes does not depend on how much of it is right, nor on which
    /// one it is.
    pub fn find(&self, presented: &[u8]) -> Option<Arc<ApiToken>> {
        let mut found = None;
        for token in &self.0 {
            if token.secret.matches(presented) {
                found = Some(token);
            }
        }
        found.cloned()
    }

    /// Whether these are the same tokens, for the same.
    pub(super) fn are(&self, others: &Self) -> bool {
        let is_same = |(one, other): (&Arc<ApiToken>, &Arc<ApiToken>)| {
            one.secret.matches(other.secret.expose().as_bytes())
                && (&one.name, &one.apps, &one.scopes) == (&other.name, &other.apps, &other.scopes)
        };
        self.0.len() == others.0.len() && self.0.iter().zip(&others.0).all(is_same)
    }

    /// The token of one table, or the key of it that is wrong, and why.
    fn read(&self, name: &str, token: &ApiTokenConfig, folder: &Path) -> Result<ApiToken, (&'static str, String)> {
        let (key, secret) = match (&token.token, &token.token_file) {
            (Some(text), _) => ("token", Token::of_text(text.expose()).map_err(|error| ("token", explain(&error)))?),
            (None, file) => {
                let file = folder.join(file.as_deref().unwrap_or(Path::new("")));
                let refused = |error| ("token_file", format!("{}: {}", file.display(), explain(&error)));
                ("token_file", Token::of_file(&file).map_err(refused)?)
            }
        };
        // A request could not tell them apart.
        if let Some(other) = self.find(secret.expose().as_bytes()) {
            return Err((
                key,
                format!("is the secret of `api.tokens.{}` too; give each token one of its own", other.name),
            ));
        }
        Ok(ApiToken { name: name.to_owned(), secret, apps: token.apps.clone(), scopes: token.scopes.clone() })
    }
}

impl ApiToken {
    /// Whether it is for an app, or would be if that existed.
    pub fn is_for(&self, app: &str) -> bool {
        self.apps.include(app)
    }

    /// Whether it allows something in its apps.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

fn problem(config: &Config, name: &str, key: &str, message: String) -> Problem {
    config.locator.problem(&format!("api.tokens.{name}.{key}"), message)
}

/// The errors of token files are about that of the admin listener, which the host makes and whose client can do more.
fn explain(error: &TokenError) -> String {
    match error {
        TokenError::Malformed => {
            "is not a token: it has 16 to 4096 printable ASCII characters without spaces, such as `openssl rand -hex 32` \
             prints"
                .to_owned()
        }
        TokenError::Exposed { mode } => format!(
            "has mode {mode:04o}, so that users other than its owner can read or change it; `chmod 600` it, and use a new \
             token if another user may have read this one"
        ),
        TokenError::Foreign { owner, user } => format!(
            "belongs to the user {owner}, who can change it; this process runs as the user {user}: `chown {user}` it"
        ),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ONE: &str = "0123456789abcdef";
    const TWO: &str = "fedcba9876543210";

    fn load(folder: &Path, tokens: &str) -> Result<ApiTokens, String> {
        let app = "[apps.chat]\npath = \"/chat\"\nmodule = \"chat.wasm\"\n";
        let config = Config::parse(&folder.join("hassock.toml"), &format!("[api]\n{tokens}{app}")).unwrap();
        ApiTokens::load(&config).map_err(|problems| problems.to_string())
    }

    fn table(name: &str, keys: &str) -> String {
        format!("[api.tokens.{name}]\n{keys}\napps = [\"chat\"]\nscopes = [\"publish\"]\n")
    }

    fn put(folder: &Path, text: &str, mode: u32) {
        fs::write(folder.join("two"), text).unwrap();
        fs::set_permissions(folder.join("two"), Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_token_is_found_by_its_whole_secret() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &format!("{TWO}\n"), 0o600);
        let text = table("one", &format!("token = \"{ONE}\"")) + &table("two", "token_file = \"two\"");
        let tokens = load(folder.path(), &text).unwrap();
        let name = |presented: &str| tokens.find(presented.as_bytes()).map(|token| token.name.clone());
        assert_eq!((name(ONE).as_deref(), name(TWO).as_deref()), (Some("one"), Some("two")));
        for wrong in ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF"] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
        let one = tokens.find(ONE.as_bytes()).unwrap();
        assert!(one.is_for("chat") && !one.is_for("other") && one.allows(Scope::Publish) && !one.allows(Scope::Close));
        assert!(!format!("{tokens:?}").contains(ONE));
        assert!(tokens.are(&load(folder.path(), &text).unwrap()));
        put(folder.path(), "0123456789abcdeF", 0o600);
        assert!(!tokens.are(&load(folder.path(), &text).unwrap()), "the file has another secret");
        assert!(!tokens.are(&load(folder.path(), &text.replace("publish", "close")).unwrap()));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let one = table("one", &format!("token = \"{ONE}\""));
        for (content, mode, expected) in [
            (TWO, 0o640, "has mode 0640, so that users other than its owner can read or change it; `chmod 600` it"),
            ("short", 0o600, "is not a token: it has 16 to 4096 printable"),
            (ONE, 0o600, ":7: api.tokens.two.token_file: is the secret of `api.tokens.one` too"),
        ] {
            put(folder.path(), content, mode);
            let problems = load(folder.path(), &(one.clone() + &table("two", "token_file = \"two\""))).unwrap_err();
            assert!(problems.contains(expected) && !problems.contains(ONE), "missing {expected:?} in {problems}");
        }
        let short = load(folder.path(), &table("one", "token = \"short\"")).unwrap_err();
        assert!(short.contains(":3: api.tokens.one.token: is not a token"), "{short}");
        let none = load(folder.path(), &table("one", "token_file = \"none\"")).unwrap_err();
        assert!(none.contains("none: there is no such file"), "{none}");
    }
}
