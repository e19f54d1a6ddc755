//! How the values of a config are written: for the configuration reference, and for `hassock config`.

use serde::{Serialize, Serializer};

use super::{
    AdminAddress, Duration, ListenAddress, ListenAddresses, Paths, Proxy, Sample, Secret, Share, Size, SocketMode,
    TokenPlace, Url,
};

/// A value as it is written in a config.
macro_rules! written {
    ($type:ty, $write:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let write: fn(&$type) -> String = $write;
                serializer.serialize_str(&write(self))
            }
        }
    };
}

written!(Duration, ToString::to_string);
written!(Sample, ToString::to_string);
written!(Share, ToString::to_string);
written!(Size, |size| size.to_string().replace(".0 ", "").replace(' ', ""));
written!(Url, |url| url.expose().to_owned());
// What is shown of a config is read from its file, and this is never a default.
written!(Secret, |_| "…".to_owned());
written!(Paths, ToString::to_string);
written!(SocketMode, ToString::to_string);
written!(ListenAddresses, |listen| listen.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
written!(AdminAddress, |address| address.to_string().trim_start_matches("http://").to_owned());
written!(ListenAddress, ToString::to_string);
written!(Proxy, ToString::to_string);
written!(TokenPlace, ToString::to_string);
