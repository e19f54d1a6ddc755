//! The small values of the config: durations, sizes, and strings with `${VARIABLE}` in them.

use std::env::{self, VarError};
use std::fmt;
use std::marker::PhantomData;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{self, Deserializer, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// What needs no encoding in the user, password and host of a URL (RFC 3986, "unreserved").
const URL_PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A time span, written as `"250ms"`, `"30s"` or `"5m"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(std::time::Duration);

impl Duration {
    /// A span of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// The span for the standard library.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

impl From<std::time::Duration> for Duration {
    fn from(span: std::time::Duration) -> Self {
        Self(span)
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Plain::deserialize(deserializer)?.0;
        humantime::parse_duration(&text).map(Self).map_err(|_| {
            de::Error::custom(format!("`{text}` is not a time span; write it as \"250ms\", \"30s\" or \"5m\""))
        })
    }
}

/// A number of bytes, written as `"64KiB"`, `"1MiB"` or a plain number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(bytesize::ByteSize);

impl Size {
    /// So many KiB.
    pub const fn kibibytes(count: u64) -> Self {
        Self(bytesize::ByteSize::kib(count))
    }

    /// So many MiB.
    pub const fn mebibytes(count: u64) -> Self {
        Self(bytesize::ByteSize::mib(count))
    }

    /// The number of bytes.
    pub const fn bytes(self) -> usize {
        self.0.as_u64() as usize
    }
}

impl From<usize> for Size {
    fn from(bytes: usize) -> Self {
        Self(bytesize::ByteSize::b(bytes as u64))
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().iec().fmt(f)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Plain::deserialize(deserializer)?.0;
        text.parse().map(Self).map_err(|_| {
            de::Error::custom(format!("`{text}` is not a size; write it as \"64KiB\", \"1MiB\" or a number of bytes"))
        })
    }
}

/// A database URL with its variables filled in. It holds a password, so `Debug` and `Display` hide it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// The whole URL, password and all: for the database driver only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Url {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Url(…)")
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A variable that is a part of the URL is a password or similar and may hold any character; one that is the
        // whole URL is encoded already.
        let whole = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
        let encode = |value: String| match whole {
            true => value,
            false => utf8_percent_encode(&value, URL_PART).to_string(),
        };
        expand(&text, encode).map(Self).map_err(de::Error::custom)
    }
}

/// A setting of an app: a string with its variables filled in, or a number or boolean as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting(pub String);

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Plain::deserialize(deserializer)?.0;
        expand(&text, |value| value).map(Self).map_err(de::Error::custom)
    }
}

/// A secret with its variables filled in. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself: only to compare what a client presents.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        expand(&text, |value| value).map(Self).map_err(de::Error::custom)
    }
}

/// A scalar of TOML as text, so that `60` and `"60"` are the same.
pub(super) struct Plain(pub(super) String);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, number or boolean")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Plain, E> {
                Ok(Plain(value.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Plain, E> {
                Ok(Plain(value.to_string()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Plain, E> {
                Ok(Plain(value.to_string()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Plain, E> {
                Ok(Plain(value.to_string()))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Plain, E> {
                Ok(Plain(value.to_string()))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

/// Read one value or a list of them.
pub(super) fn one_or_many<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<Vec<T>, D::Error> {
    struct OneOrMany<T>(&'static str, PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<Vec<T>, E> {
            T::deserialize(value.into_deserializer()).map(|value| vec![value])
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<Vec<T>, E> {
            T::deserialize(value.into_deserializer()).map(|value| vec![value])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = list.next_element()? {
                values.push(value);
            }
            Ok(values)
        }
    }
    deserializer.deserialize_any(OneOrMany(expected, PhantomData))
}

/// Fill in `${NAME}` from the environment; `$$` is a dollar sign.
fn expand(text: &str, encode: impl Fn(String) -> String) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            after
        } else if let Some(after) = after.strip_prefix('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| "`${` without `}`; write `${NAME}`, or `$$` for a dollar sign".to_owned())?;
            result.push_str(&encode(variable(name)?));
            after
        } else {
            result.push('$');
            after
        };
    }
    result.push_str(rest);
    Ok(result)
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| match error {
        VarError::NotPresent => {
            format!("the environment variable `{name}` is not set; set it, or write the value here")
        }
        VarError::NotUnicode(_) => format!("the environment variable `{name}` is not UTF-8"),
    })
}
