//! What is refused: by the hub, by others in its place, and before anything is asked.

use super::*;

#[test]
fn without_a_token_the_licence_and_the_token_are_named() {
    for status in [401, 403] {
        let (message, hint) = refused(None, Reply::refusal(status, "GatedRepo"));
        assert_eq!(
            message,
            format!("org/name: the hub answered {status}, and no token is set")
        );
        assert_eq!(
            hint,
            "if the name is right, accept the licence at `HUB/org/name` and set `HF_TOKEN`"
        );
    }
    // So the hub answers about repositories that are not there.
    let (message, _) = refused(None, Reply::refusal(401, "RepoNotFound"));
    assert_eq!(
        message,
        "org/name: the hub answered 401, and no token is set"
    );
}

#[test]
fn with_a_token_its_access_is_doubted() {
    for (status, reply) in [
        (403, Reply::refusal(403, "GatedRepo")),
        (401, Reply::new(401)),
    ] {
        let (message, hint) = refused(Some("hf_x"), reply);
        assert_eq!(
            message,
            format!("org/name: the hub answered {status}, the token was refused or lacks access")
        );
        assert_eq!(
            hint,
            "check at `HUB/org/name` that the account of `HF_TOKEN` has access"
        );
    }
}

#[test]
fn what_is_not_there_is_told_apart() {
    let (message, hint) = refused(None, Reply::refusal(404, "RepoNotFound"));
    assert_eq!(message, "org/name: no such model on the hub");
    assert_eq!(
        hint,
        "look for the model at `HUB/org/name`; a private one needs an `HF_TOKEN` that may read it"
    );
    let (message, hint) = refused(None, Reply::refusal(404, "RevisionNotFound"));
    assert_eq!(message, "org/name: no revision `main`");
    assert_eq!(
        hint,
        "look for its branches and tags at `HUB/org/name/tree/main`"
    );
    let (message, _) = refused(None, Reply::refusal(404, "Unheard"));
    assert_eq!(
        message,
        "HUB/api/models/org/name/revision/main: answered 404, expected 200"
    );

    let dir = tempfile::tempdir().unwrap();
    let server = Site::new().start();
    let hub = hub(&server, dir.path());
    let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
    let error = snapshot.file("model.bin").unwrap_err();
    let (message, hint) = said(&error, &server);
    assert_eq!(message, "org/name: no file `model.bin`");
    assert_eq!(
        hint,
        "the repository holds `config.json`, `model.safetensors`, `sub dir/notes.txt`"
    );
}

#[test]
fn file_that_is_listed_and_not_there_is_no_file() {
    // Mirrors may have no codes.
    for reply in [Reply::refusal(404, "EntryNotFound"), Reply::new(404)] {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::new();
        let server = Server::start(move |request| match request.method.as_str() {
            "HEAD" => reply.clone(),
            _ => site.answer(request),
        });
        let hub = hub(&server, dir.path());
        let snapshot = hub.snapshot(&repo(), &Silent).unwrap();
        let error = snapshot.file("config.json").unwrap_err();
        assert_eq!(error.to_string(), "org/name: no file `config.json`");
        assert_eq!(error.hint(), None);
        assert_eq!(error.fault().exit_code(), 2);
    }
}

#[test]
fn not_found_without_a_code_is_no_model() {
    let (message, _) = refused(None, Reply::new(404));
    assert_eq!(message, "org/name: no such model on the hub");
}

#[test]
fn answers_of_others_than_the_hub_are_seen_through() {
    let page = Reply::new(200)
        .with("Content-Type", "text/html")
        .body("<html>Please log in");
    let (message, hint) = refused(None, page);
    assert_eq!(
        message,
        "HUB/api/models/org/name/revision/main: text/html is no description of a model: expected value at line 1 column 1"
    );
    assert!(hint.starts_with("a proxy or a login page"), "{hint}");

    let (message, _) = refused(None, Reply::new(200).body("{\"sha\": null}"));
    assert!(message.contains("invalid type: null"), "{message}");
    let (message, _) = refused(None, Reply::new(200).body(vec![b' '; (1 << 25) + 1]));
    assert!(message.contains("more than 33,554,432 bytes"), "{message}");
    let (message, _) = refused(None, Reply::new(302).with("Location", "/round"));
    assert!(message.contains("more than 10 redirects"), "{message}");
    let (message, _) = refused(None, Reply::new(302));
    assert!(
        message.contains("answered 302 with no address"),
        "{message}"
    );
}

#[test]
fn addresses_that_are_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (endpoint, what) in [
        ("huggingface.co", "hub `huggingface.co`: is no web address"),
        ("", "hub ``: is no web address"),
        ("ftp://host", "hub `ftp://host`: is no web address"),
        ("http://a b", "hub `http://a b`: is no web address"),
        (
            "https://user:secret@host",
            "hub `https://host`: a user name stands before the host",
        ),
        (
            "user:secret@host",
            "hub `host`: a user name stands before the host",
        ),
        (
            "https://user:1/secret@host",
            "hub `https://host`: a user name stands before the host",
        ),
    ] {
        let hub = hub_at(endpoint, dir.path(), None);
        let error = hub.snapshot(&repo(), &Silent).err().unwrap();
        let expected = format!("{what}, expected one like `https://huggingface.co`");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.fault().exit_code(), 2);
        assert!(!format!("{error:?} {:?}", error.hint()).contains("secret"));
    }
}

#[test]
fn token_is_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        cache_dir: Some(dir.path().to_owned()),
        endpoint: "http://user:secret@127.0.0.1:1".to_owned(),
        token: Some(in_variable("hf_\nsecret")),
        offline: false,
    };
    assert!(!format!("{settings:?}").contains("secret"));
    let settings = Settings {
        endpoint: "http://127.0.0.1:1".to_owned(),
        ..settings
    };
    let hub = Hub::with(settings, Interrupt::default(), quick(), None);
    let error = hub.snapshot(&repo(), &Silent).err().unwrap();
    assert!(error.to_string().starts_with("hub's token in "), "{error}");
    assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("secret"));
}
