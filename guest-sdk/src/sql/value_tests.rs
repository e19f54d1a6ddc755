use super::*;

fn get<T: FromValue>(value: impl Into<Value>) -> Option<T> {
    T::from_value(&value.into()).ok()
}

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

#[test]
fn integers_convert_if_they_fit() {
    assert_eq!(get::<u64>(5_i64), Some(5));
    assert_eq!(get::<i64>(5_u64), Some(5));
    assert_eq!(get::<u64>(u64::MAX), Some(u64::MAX));
    assert_eq!(get::<i64>(u64::MAX), None);
    assert_eq!(get::<u64>(-1), None);
    assert_eq!(get::<i8>(-128), Some(-128));
    assert_eq!(get::<i8>(128), None);
    assert_eq!(get::<u8>(256), None);
    assert_eq!(get::<i32>(true), Some(1));
    assert_eq!(get::<i32>("5"), None);
    assert_eq!(get::<i32>(5.0), None);
}

#[test]
fn a_whole_decimal_is_an_integer() {
    assert_eq!(get::<i64>(Decimal("-12".into())), Some(-12));
    assert_eq!(get::<i64>(Decimal("12.5".into())), None);
    assert_eq!(get::<f64>(Decimal("12.5".into())), Some(12.5));
}

#[test]
fn booleans_are_also_zero_and_one() {
    assert_eq!(get::<bool>(true), Some(true));
    assert_eq!(get::<bool>(0_i64), Some(false));
    assert_eq!(get::<bool>(1_u64), Some(true));
    assert_eq!(get::<bool>(2), None);
    assert_eq!(get::<bool>("true"), None);
}

#[test]
fn floats_are_never_silently_inexact() {
    assert_eq!(get::<f64>(1_i64 << 53), Some(9_007_199_254_740_992.0));
    assert_eq!(get::<f64>((1_i64 << 53) + 1), None);
    assert_eq!(get::<f64>(-3), Some(-3.0));
    assert_eq!(get::<f64>("1.5"), None);
    assert_eq!(get::<f64>(true), None);
}

#[test]
fn texts_come_from_all_that_is_written_as_text() {
    let date = "2026-01-31".to_owned();
    for value in [Value::Date(date.clone()), Value::Time(date.clone()), Value::Datetime(date.clone())] {
        assert_eq!(get::<String>(value), Some(date.clone()));
    }
    for value in [Value::Timestamp(date.clone()), Value::Json(date.clone()), Value::Decimal(date.clone())] {
        assert_eq!(get::<String>(value), Some(date.clone()));
    }
    assert_eq!(get::<String>(date.clone()), Some(date));
    assert_eq!(get::<String>(Value::Bytes(vec![97])), None);
    assert_eq!(get::<String>(1), None);
}

#[test]
fn bytes_decimals_and_json() {
    assert_eq!(get::<Vec<u8>>("é"), Some("é".as_bytes().to_vec()));
    assert_eq!(get::<Vec<u8>>(vec![0_u8, 255]), Some(vec![0, 255]));
    assert_eq!(get::<Decimal>(7), Some(Decimal("7".into())));
    assert_eq!(get::<Json<Vec<u8>>>("[1]"), Some(Json(vec![1])));
    assert_eq!(get::<Json<Vec<u8>>>(Value::Json("[1]".into())), Some(Json(vec![1])));
    assert_eq!(get::<Json<Vec<u8>>>("[1"), None);
    assert_eq!(Value::to_json(&[1, 2]).ok(), Some(Value::Json("[1,2]".into())));
}

#[test]
fn null_is_none_and_nothing_else() {
    assert_eq!(get::<Option<i64>>(Value::Null), Some(None));
    assert_eq!(get::<Option<i64>>(4), Some(Some(4)));
    assert_eq!(get::<Option<i64>>("x"), None);
    assert_eq!(get::<i64>(Value::Null), None);
    assert_eq!(get::<Value>(Value::Null), Some(Value::Null));
}

#[test]
fn parameters_are_made_of_what_comes() {
    let name = String::from("Zoe");
    let bytes: &[u8] = &[1];
    let made = crate::params!["a", &name, 1_u64, -1, 1.5, true, None::<i64>, Some("b"), bytes, &Some(&name)];
    let wanted = [
        text("a"),
        text("Zoe"),
        Value::U64(1),
        Value::S64(-1),
        Value::F64(1.5),
        Value::Boolean(true),
        Value::Null,
        text("b"),
        Value::Bytes(vec![1]),
        text("Zoe"),
    ];
    assert_eq!(made, wanted);
}

#[test]
fn errors_do_not_repeat_texts() {
    let error = i64::from_value(&text("secret")).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("it is a text, not an integer that fits `i64`"));
}
