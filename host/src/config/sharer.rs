//! Equal parts of the connections to a database, for the apps that share it.

use super::{Config, Grant};

/// One of the apps that share a database. There are connections that only read and others that may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharer {
    /// Its place among all of them: new versions of an app that may write are tested with connections that only read.
    pub reading: Place,
    /// Its place among those that may write.
    pub writing: Place,
}

/// A place among the apps that get equal parts, in the order of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Counted from 0.
    pub index: usize,
    /// How many apps there are.
    pub count: usize,
}

impl Sharer {
    /// An app that shares the database with no other.
    pub const ALONE: Self = Self { reading: Place::ALONE, writing: Place::ALONE };
}

impl Place {
    const ALONE: Self = Self { index: 0, count: 1 };

    /// The connections of the app, at least one. The first apps get one more if the parts are not equal otherwise, so that the
    /// parts add up to all connections.
    pub fn part(self, connections: usize) -> usize {
        let count = self.count.max(1);
        let is_larger = self.index < connections % count;
        (connections / count + usize::from(is_larger)).max(1)
    }
}

impl Config {
    /// How many apps are granted a database.
    pub fn sharers(&self, database: &str) -> usize {
        self.apps.values().filter(|app| app.databases.contains_key(database)).count()
    }

    /// An app as one of those that share a database.
    pub fn sharer(&self, database: &str, app: &str) -> Sharer {
        let place = |is_one: fn(Grant) -> bool| {
            let has = self.apps.iter().filter(|(_, other)| other.databases.get(database).copied().is_some_and(is_one));
            let names: Vec<&String> = has.map(|(name, _)| name).collect();
            Place { index: names.partition_point(|name| name.as_str() < app), count: names.len() }
        };
        Sharer { reading: place(|_| true), writing: place(|grant| grant == Grant::ReadWrite) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_parts_add_up_to_all_connections() {
        for count in 1..=20 {
            for connections in count..=50 {
                let parts: Vec<usize> = (0..count).map(|index| Place { index, count }.part(connections)).collect();
                assert_eq!(parts.iter().sum::<usize>(), connections, "{parts:?}");
                assert!(parts.is_sorted_by(|one, next| one >= next && one - next <= 1), "{parts:?}");
            }
        }
        // A database in memory has one connection.
        assert_eq!(Place { index: 2, count: 3 }.part(1), 1);
    }

    #[test]
    fn apps_have_places_among_those_with_such_a_grant() {
        let app = |name: &str, grant: &str| {
            format!("[apps.{name}]\npath = \"/{name}\"\nmodule = \"m.wasm\"\ndatabases.main = \"{grant}\"\n")
        };
        let apps = [app("c", "read-write"), app("a", "read-only"), app("b", "read-write"), app("d", "read-only")];
        let text = format!("[databases.main]\nurl = \"sqlite::memory:\"\n{}", apps.concat());
        let config = Config::parse(Path::new("hassock.toml"), &text).unwrap_or_else(|problems| panic!("{problems}"));
        let places = ["a", "b", "c", "d"].map(|name| config.sharer("main", name));
        assert_eq!(places.map(|place| place.reading.index), [0, 1, 2, 3]);
        assert!(places.iter().all(|place| place.reading.count == 4 && place.writing.count == 2));
        assert_eq!([places[1].writing.index, places[2].writing.index], [0, 1]);
        assert_eq!(config.sharers("main"), 4);
    }
}
