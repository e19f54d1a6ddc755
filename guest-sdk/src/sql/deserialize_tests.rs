use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::{RowSet, Rows};
use super::*;
use crate::sql::Decimal;

fn read<T: DeserializeOwned>(cells: impl IntoIterator<Item = (&'static str, Value)>) -> Result<T, String> {
    let (columns, values) = cells.into_iter().map(|(column, value)| (column.to_owned(), value)).unzip();
    let rows = Rows::from(RowSet { columns, rows: vec![values] });
    let row = rows.one().map_err(|error| error.to_string())?;
    row.get_as().map_err(|error| error.to_string())
}

fn only<T: DeserializeOwned>(value: impl Into<Value>) -> Result<T, String> {
    read([("c", value.into())])
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Cat,
    Dog,
    Other(String),
}

#[derive(Debug, Deserialize, PartialEq)]
struct Pet {
    id: u32,
    name: Option<String>,
    kind: Kind,
    tags: Vec<String>,
    price: f64,
    is_here: bool,
}

#[test]
fn a_struct_is_read_by_the_names_of_the_columns() {
    let cells = [
        ("name", Value::Null),
        ("price", Value::Decimal("12.50".into())),
        ("id", Value::U64(7)),
        ("unused", Value::Bytes(vec![1])),
        ("kind", "dog".into()),
        ("tags", Value::Json(r#"["a","b"]"#.into())),
        ("is_here", Value::S64(1)),
    ];
    let tags = vec!["a".to_owned(), "b".to_owned()];
    let expected = Pet { id: 7, name: None, kind: Kind::Dog, tags, price: 12.5, is_here: true };
    assert_eq!(read(cells), Ok(expected));
}

#[test]
fn a_tuple_is_read_by_the_order_of_the_columns() {
    let cells = || [("b", Value::S64(1)), ("a", "x".into())];
    assert_eq!(read::<(u8, String)>(cells()), Ok((1, "x".into())));
    assert_eq!(read::<(u8,)>(cells()), Err("the row has 2 columns and not 1".into()));
    assert_eq!(read::<u8>(cells()), Err("the row has 2 columns and not one".into()));
}

#[test]
fn anything_else_is_the_only_column() {
    assert_eq!(only::<u64>(Decimal("12".into())), Ok(12));
    assert_eq!(only::<Option<i64>>(Value::Null), Ok(None));
    assert_eq!(only::<Option<i64>>(4), Ok(Some(4)));
    assert_eq!(only::<String>(Value::Date("2026-01-31".into())), Ok("2026-01-31".into()));
    assert_eq!(only::<(Vec<u8>,)>(vec![0_u8, 255]), Ok((vec![0, 255],)));
    assert_eq!(only::<Kind>("cat"), Ok(Kind::Cat));
    assert_eq!(only::<Kind>(Value::Json(r#"{"other":"cow"}"#.into())), Ok(Kind::Other("cow".into())));
    let map = BTreeMap::from([("c".to_owned(), serde_json::json!(1.5))]);
    assert_eq!(only::<BTreeMap<String, serde_json::Value>>(1.5), Ok(map));
}

#[test]
fn errors_name_the_column_and_do_not_repeat_texts() {
    let error = |value: Value| only::<i8>(value).unwrap_err();
    assert_eq!(error(200.into()), "column `c`: it is the integer 200, not an integer that fits `i8`");
    assert_eq!(error("secret".into()), "column `c`: it is a text, not an integer that fits `i8`");
    assert_eq!(only::<Kind>("secret").unwrap_err(), "column `c`: it is not one of `cat`, `dog`, `other`");
    assert_eq!(only::<(Pet,)>(1).unwrap_err(), "column `c`: it is the integer 1, not JSON");
    assert_eq!(read::<Pet>([("id", 1.into())]).unwrap_err(), "missing field `kind`");
    assert_eq!(
        only::<f64>((1_i64 << 53) + 1).unwrap_err(),
        "column `c`: it is the integer 9007199254740993, not an f64"
    );
}
