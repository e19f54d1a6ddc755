use super::*;

#[test]
fn a_new_app_has_all_its_files_and_no_gap_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("hello-world");
    create(&dir, Path::new(SDK)).unwrap();
    for (path, _) in FILES {
        let text = fs::read_to_string(dir.join(path.replace("{{name}}", "hello-world"))).unwrap();
        assert!(!text.contains("{{"), "{path}: {text}");
    }
    assert!(fs::read_to_string(dir.join("hassock.toml")).unwrap().contains("[apps.hello-world]"));
}

#[test]
fn what_is_there_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("app");
    fs::create_dir(&dir).unwrap();
    create(&dir, Path::new("/nowhere")).unwrap_err();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "nothing is written without an SDK");
    fs::write(dir.join("note"), "mine").unwrap();
    let error = create(&dir, Path::new(SDK)).unwrap_err().to_string();
    assert!(error.contains("not empty"), "{error}");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
}

#[test]
fn the_folder_must_be_a_name() {
    for wrong in ["1app", "my app", "äpp", "a.b", "-x"] {
        let error = create(&Path::new("/tmp").join(wrong), Path::new(SDK)).unwrap_err();
        assert!(matches!(&error, NewError::Name(name) if name == wrong), "{error}");
    }
}
