mod at_hand;
mod evil;
mod fuzz;
mod tar_bytes;
mod transfer;

use crate::context::Context;
use crate::interrupt::Interrupt;

use std::sync::Mutex;

use super::*;
use crate::hub::tests::Told;
use crate::hub::tests::quick;
use crate::hub::tests::server::{Reply, Seen, Server, part, sha256};
use crate::newt::labels::{Csv, OtherSplits};
use crate::progress::Silent;
use tar_bytes::{FOLDER, entry, gzip, noise, tar};

const LABELS: &str = "newt2021_labels.csv.tar.gz";
const IMAGES: &str = "newt2021_images.tar.gz";

/// The archives of a small data set.
#[derive(Clone)]
struct Archives {
    ids: Vec<String>,
    csv: String,
    labels: Vec<u8>,
    images: Vec<u8>,
}

impl Archives {
    /// Four images of 40 kB that no compression makes smaller.
    fn new() -> Self {
        let ids: Vec<String> = (0..4).map(|n| format!("id-{n}")).collect();
        let mut csv = "id,task,task_cluster,label,split\n".to_owned();
        let mut entries = vec![entry("newt2021_images/", FOLDER, b"")];
        for (n, id) in ids.iter().enumerate() {
            let split = if n < 2 { "train" } else { "test" };
            csv.push_str(&format!("{id},task,cluster,{},{split}\n", n % 2));
            let name = format!("newt2021_images/{id}.jpg");
            entries.push(entry(&name, b'0', &noise(id)));
        }
        Self {
            labels: gzip(&tar(&[entry("newt2021_labels.csv", b'0', csv.as_bytes())])),
            images: gzip(&tar(&entries)),
            csv,
            ids,
        }
    }

    fn with_images(images: Vec<u8>) -> Self {
        Self {
            images,
            ..Self::new()
        }
    }

    fn bytes(&self, request: &Seen) -> Option<&[u8]> {
        match request.target.strip_prefix("/newt/")? {
            LABELS => Some(&self.labels),
            IMAGES => Some(&self.images),
            _ => None,
        }
    }

    /// Answers as the host of the archives does.
    fn answer(&self, request: &Seen) -> Reply {
        self.bytes(request)
            .map_or(Reply::new(404), |bytes| part(bytes, request))
    }

    fn serve(&self) -> Server {
        let archives = self.clone();
        Server::start(move |request| archives.answer(request))
    }

    /// Serves the images by `answer`.
    fn serve_images(
        &self,
        answer: impl Fn(&Archives, &Seen) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let archives = self.clone();
        Server::start(move |request| {
            if request.target.ends_with(IMAGES) {
                answer(&archives, request)
            } else {
                archives.answer(request)
            }
        })
    }

    fn parsed(&self) -> Labels {
        let csv = Csv::parse("labels", self.csv.as_bytes()).unwrap();
        Labels::from_csv(&csv, "labels", OtherSplits::Refuse).unwrap()
    }
}

/// A folder to fetch to, within one that nothing else may appear in.
struct Place {
    outer: tempfile::TempDir,
    interrupt: Interrupt,
    told: Told,
}

impl Place {
    fn new() -> Self {
        Self {
            outer: tempfile::tempdir().unwrap(),
            interrupt: Interrupt::default(),
            told: Told::default(),
        }
    }

    fn dir(&self) -> PathBuf {
        self.outer.path().join("newt")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, content).unwrap();
        path
    }

    /// A client of `server` that expects `archives` and waits for nothing.
    fn fetch(&self, server: &Server, archives: &Archives) -> Fetch<'_> {
        self.fetch_with(server, archives, &Options::default())
    }

    fn fetch_with(&self, server: &Server, archives: &Archives, options: &Options) -> Fetch<'_> {
        let options = Options {
            source: Source {
                base: format!("{}/newt", server.url),
                sha256_labels: sha256(&archives.labels),
                sha256_images: sha256(&archives.images),
            },
            ..options.clone()
        };
        let root = DataRoot::new(self.dir());
        let mut fetch = Fetch::new(
            root,
            &options,
            Context {
                progress: &self.told,
                interrupt: &self.interrupt,
            },
        )
        .unwrap();
        let base = &options.source.base;
        fetch.client = Client::new(base, None, quick(), None, self.interrupt.clone());
        fetch
    }

    /// The part file of the images.
    fn part(&self, archives: &Archives) -> PathBuf {
        let digest = &sha256(&archives.images)[..12];
        self.path(&format!(".fetch/{IMAGES}.{digest}.part"))
    }

    /// Makes sure that the data set is there, with nothing else but `others`.
    fn assert_whole(&self, archives: &Archives, others: &[&str]) {
        let csv = fs_err::read_to_string(self.path("newt2021_labels.csv")).unwrap();
        assert_eq!(csv, archives.csv);
        for id in &archives.ids {
            let image = fs_err::read(self.path(&format!("newt2021_images/{id}.jpg"))).unwrap();
            assert!(image == noise(id), "{id}");
        }
        let images = names(&self.path("newt2021_images"));
        assert_eq!(images.len(), archives.ids.len());
        let mut expected = [&["newt2021_images", "newt2021_labels.csv"], others].concat();
        expected.sort_unstable();
        assert_eq!(names(&self.dir()), expected);
    }

    /// Makes sure that there is nothing but `expected`, neither in the folder nor beside it.
    fn assert_names(&self, expected: &[&str]) {
        assert_eq!(names(&self.dir()), expected);
        assert_eq!(names(self.outer.path()), ["newt"]);
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs_err::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Fetches all.
fn run(fetch: &Fetch<'_>, archives: &Archives) -> Result<[Outcome; 2], Error> {
    let of_labels = fetch.labels()?;
    let of_images = fetch.images(&archives.parsed(), of_labels)?;
    Ok([of_labels, of_images])
}

#[test]
fn data_set_is_fetched_once() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    let fetched = run(&place.fetch(&server, &archives), &archives).unwrap();
    assert_eq!(fetched, [Outcome::Fetched; 2]);
    place.assert_whole(&archives, &[]);
    let expected = [format!("GET /newt/{LABELS}"), format!("GET /newt/{IMAGES}")];
    assert_eq!(server.lines(), expected);
    let (labels, images) = (archives.labels.len(), archives.images.len());
    let lines = place.told.lines();
    let started: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| line.starts_with("start"))
        .collect();
    assert_eq!(
        started,
        [
            format!("start downloading {LABELS}: {labels}").as_str(),
            &format!("start downloading {IMAGES}: {images}"),
        ]
    );

    let again = run(&place.fetch(&server, &archives), &archives).unwrap();
    assert_eq!(again, [Outcome::AlreadyThere; 2]);
    assert_eq!(server.lines().len(), 2);
    let offline = Options {
        offline: true,
        ..Options::default()
    };
    let again = run(&place.fetch_with(&server, &archives, &offline), &archives).unwrap();
    assert_eq!(again, [Outcome::AlreadyThere; 2]);
    place.assert_whole(&archives, &[]);
}

#[test]
fn what_is_missing_is_fetched_and_what_is_there_is_left_alone() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    place.write("notes.txt", "mine");
    place.write("newt2021_labels.csv", &archives.csv);
    let fetched = run(&place.fetch(&server, &archives), &archives).unwrap();
    assert_eq!(fetched, [Outcome::AlreadyThere, Outcome::Fetched]);
    place.assert_whole(&archives, &["notes.txt"]);

    fs_err::remove_file(place.path("newt2021_labels.csv")).unwrap();
    let fetched = run(&place.fetch(&server, &archives), &archives).unwrap();
    assert_eq!(fetched, [Outcome::Fetched, Outcome::AlreadyThere]);
    place.assert_whole(&archives, &["notes.txt"]);
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn folder_with_some_of_the_images_is_refused_and_left_alone() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    place.write("newt2021_images/id-2.jpg", "mine");
    let error = run(&place.fetch(&server, &archives), &archives).unwrap_err();
    let dir = place.path("newt2021_images");
    assert_eq!(
        error.to_string(),
        format!(
            "{}: 3 of 4 images are missing, such as `id-0.jpg`",
            dir.display()
        )
    );
    let hint = error.hint().unwrap();
    assert!(
        hint.starts_with(&format!("move {} away", dir.display())),
        "{hint}"
    );
    assert_eq!(error.fault().exit_code(), 3);
    assert_eq!(fs_err::read(dir.join("id-2.jpg")).unwrap(), b"mine");
    assert_eq!(server.lines(), [format!("GET /newt/{LABELS}")]);
}

#[test]
fn labels_are_blamed_where_the_archive_lacks_their_images() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    let labels = place.write("newt2021_labels.csv", &archives.csv);
    let mut other = archives.clone();
    other.csv = archives.csv.replace("id-3", "mine");
    let error = run(&place.fetch(&server, &archives), &other).unwrap_err();
    let labels = labels.display();
    assert_eq!(
        error.to_string(),
        format!("{labels}: names 4 images, of which the archive lacks 1, such as `mine.jpg`")
    );
    assert_eq!(
        error.hint().unwrap(),
        format!("move {labels} away, or choose another folder for NeWT")
    );
    assert_eq!(error.fault().exit_code(), 3);
    // What was fetched is of use to the right labels.
    place.assert_whole(&archives, &[]);
}

#[test]
fn labels_of_another_data_set_are_refused_before_images_of_newt_are_fetched() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    let labels = place.write("newt2021_labels.csv", &archives.csv);
    let mut fetch = place.fetch(&server, &archives);
    fetch.images.sha256 = Source::default().sha256_images;
    let error = run(&fetch, &archives).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: has 1 task that NeWT does not have, expected NeWT's labels",
            labels.display()
        )
    );
    place.assert_names(&["newt2021_labels.csv"]);
    assert!(server.lines().is_empty());
    // Where its images are there, nothing is wrong.
    for id in &archives.ids {
        place.write(&format!("newt2021_images/{id}.jpg"), noise(id));
    }
    assert_eq!(run(&fetch, &archives).unwrap(), [Outcome::AlreadyThere; 2]);
}

#[test]
fn mirror_that_is_no_web_address_is_refused() {
    let refused = |base: &str| {
        let options = Options {
            source: Source {
                base: base.to_owned(),
                ..Source::default()
            },
            ..Options::default()
        };
        let interrupt = Interrupt::default();
        let error = Fetch::new(
            DataRoot::new("newt"),
            &options,
            Context {
                progress: &Silent,
                interrupt: &interrupt,
            },
        );
        let error = error.err().unwrap();
        assert_eq!(error.fault().exit_code(), 2);
        let hint = error.hint().unwrap();
        assert!(hint.contains("archives on this machine"), "{hint}");
        error.to_string()
    };
    for base in ["ftp://host/newt", "file:///data", "/data/newt", "host", ""] {
        assert_eq!(
            refused(base),
            format!(
                "mirror `{base}`: is no web address, expected an address like `https://host/folder`"
            )
        );
    }
    for base in [
        "https://host/newt?signature=secret",
        "https://host/newt#part",
        "https://user:secret@host/newt?x",
    ] {
        assert_eq!(
            refused(base),
            "mirror `https://host/newt`: goes on with `?` or `#`, expected an address like `https://host/folder`"
        );
    }
    for base in [
        "https://user:se?cret@host/newt",
        "https://host/newt?signature=sec@ret",
    ] {
        assert_eq!(
            refused(base),
            "mirror `(not shown)`: goes on with `?` or `#`, expected an address like `https://host/folder`"
        );
    }
    assert_eq!(
        refused("https://user:secret@host/newt"),
        "mirror `https://host/newt`: a user name stands before the host, expected an address like `https://host/folder`"
    );
}

#[test]
fn folder_that_cannot_be_made_is_named() {
    let (place, archives) = (Place::new(), Archives::new());
    let server = archives.serve();
    fs_err::write(place.dir(), "mine").unwrap();
    let error = place.fetch(&server, &archives).labels().unwrap_err();
    let dir = place.dir().display().to_string();
    assert_eq!(
        error.to_string(),
        format!("{dir}: is not a folder, expected a folder or nothing")
    );
    assert_eq!(error.fault().exit_code(), 2);

    let mut fetch = place.fetch(&server, &archives);
    fetch.root = DataRoot::new(place.path("below"));
    let error = fetch.labels().unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with(&format!("{dir}/below: not writable: ")),
        "{message}"
    );
    assert_eq!(
        error.hint().unwrap(),
        "choose a folder that you can write to"
    );
    assert_eq!(error.fault().exit_code(), 2);
    assert!(server.lines().is_empty());
}
