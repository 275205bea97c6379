//! A store in a folder of its own, and what damage does to it.

use super::*;
use crate::cache::KeyBuilder;
use crate::progress::Silent;
use crate::progress::Warnings;
use ndarray::array;
use std::path::PathBuf;

fn image(n: usize) -> Digest {
    Digest::of(&n.to_le_bytes())
}

fn images(numbers: impl IntoIterator<Item = usize>) -> Vec<Digest> {
    numbers.into_iter().map(image).collect()
}

/// Row n of an imagined backbone.
fn rows(numbers: &[usize]) -> Array2<f32> {
    Array2::from_shape_fn((numbers.len(), 3), |(i, j)| (numbers[i] * 10 + j) as f32)
}

struct Fixture {
    _dir: tempfile::TempDir,
    cache: Cache,
    key: Key,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            cache: Cache::open(dir.path()).unwrap(),
            _dir: dir,
            key: KeyBuilder::new("features", 1).finish().key,
        }
    }

    fn open(&self) -> FeatureStore {
        FeatureStore::open(&self.cache, &self.key, 3, &Silent).unwrap()
    }

    /// Opens the store and returns the warnings of that.
    fn open_warned(&self) -> (FeatureStore, Vec<String>) {
        let warnings = Warnings::default();
        let store = FeatureStore::open(&self.cache, &self.key, 3, &warnings).unwrap();
        (store, warnings.0.into_inner().unwrap())
    }

    fn paths(&self) -> Vec<PathBuf> {
        let store = self.open();
        let shards = store.shards.list().unwrap();
        shards
            .iter()
            .map(|shard| store.shards.path(shard))
            .collect()
    }
}

#[test]
fn rows_come_back_in_any_order_and_number() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    store
        .append(&images(0..5), rows(&[0, 1, 2, 3, 4]).view())
        .unwrap();
    store.append(&images([7]), rows(&[7]).view()).unwrap();
    for mut store in [store, fixture.open()] {
        assert_eq!(store.places.len(), 6);
        let asked = [7, 3, 3, 0, 7];
        assert_eq!(
            store.read(&images(asked), &Silent).unwrap().unwrap(),
            rows(&asked)
        );
        assert_eq!(store.read(&[], &Silent).unwrap().unwrap().dim(), (0, 3));
    }
}

#[test]
fn missing_gives_the_first_position_of_each_new_image_in_order() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    assert!(store.places.is_empty());
    store.append(&images([1]), rows(&[1]).view()).unwrap();
    assert_eq!(store.missing(&images([9, 1, 5, 9, 2, 5])), [0, 2, 4]);
    assert_eq!(store.missing(&images([1, 1])), [0; 0]);
}

#[test]
fn keys_do_not_share_features() {
    let fixture = Fixture::new();
    fixture
        .open()
        .append(&images([1]), rows(&[1]).view())
        .unwrap();
    let other = KeyBuilder::new("features", 2).finish().key;
    let store = FeatureStore::open(&fixture.cache, &other, 3, &Silent).unwrap();
    assert!(store.places.is_empty());
}

#[test]
fn append_refuses_rows_of_another_shape_and_adds_nothing_for_no_images() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    let error = store
        .append(&images([1, 2]), rows(&[1]).view())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "features of 2 images: shape [1, 3], expected [2, 3]"
    );
    let narrow = array![[1.0]];
    let error = store.append(&images([1]), narrow.view()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "features of 1 image: shape [1, 1], expected [1, 3]"
    );
    store.append(&[], rows(&[]).view()).unwrap();
    assert!(fixture.paths().is_empty());
}

#[test]
fn read_gives_nothing_where_some_have_no_features() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    store.append(&images([1]), rows(&[1]).view()).unwrap();
    let asked = images([1, 2, 3, 2]);
    assert_eq!(store.read(&asked, &Silent).unwrap(), None);
    assert_eq!(store.missing(&asked), [1, 2]);
}

#[test]
fn shard_with_a_changed_row_is_removed_when_read_and_its_images_are_missing() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    store.append(&images([1, 2]), rows(&[1, 2]).view()).unwrap();
    let path = fixture.paths().remove(0);
    store.append(&images([3]), rows(&[3]).view()).unwrap();
    let mut bytes = fs_err::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(&path, bytes).unwrap();

    let (mut store, warnings) = fixture.open_warned();
    assert_eq!((store.places.len(), warnings.len()), (3, 0));
    let warnings = Warnings::default();
    let asked = images([3, 2, 1]);
    assert_eq!(store.read(&asked, &warnings).unwrap(), None);
    assert_eq!(store.missing(&asked), [1, 2]);
    let warnings = warnings.0.into_inner().unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains("expected digest")
            && warnings[0].starts_with("1 damaged shard of features removed")
    );
    assert!(!path.exists());

    store.append(&images([2, 1]), rows(&[2, 1]).view()).unwrap();
    assert_eq!(
        store.read(&asked, &Silent).unwrap().unwrap(),
        rows(&[3, 2, 1])
    );
}

#[test]
fn shard_that_vanishes_after_opening_counts_as_missing() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    store.append(&images([1]), rows(&[1]).view()).unwrap();
    fs_err::remove_file(fixture.paths().remove(0)).unwrap();
    assert_eq!(store.read(&images([1]), &Silent).unwrap(), None);
    assert_eq!(store.missing(&images([1])), [0]);
}

#[test]
fn shard_whose_header_is_damaged_is_removed_on_opening() {
    let fixture = Fixture::new();
    let damages: [fn(&mut Vec<u8>); 5] = [
        Vec::clear,
        |bytes| bytes.truncate(5),
        |bytes| bytes.truncate(40),
        |bytes| bytes[7] = 0xff,
        |bytes| bytes[9] = 0xff,
    ];
    for damage in damages {
        fixture
            .open()
            .append(&images([1]), rows(&[1]).view())
            .unwrap();
        let path = fixture.paths().remove(0);
        let mut bytes = fs_err::read(&path).unwrap();
        damage(&mut bytes);
        fs_err::write(&path, bytes).unwrap();
        let (store, warnings) = fixture.open_warned();
        assert!(store.places.is_empty() && !path.exists());
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("expected digest"), "{warnings:?}");
    }
}

#[test]
fn whole_file_that_is_no_shard_of_this_dimension_is_passed_over_and_kept() {
    let fixture = Fixture::new();
    let mut wide = FeatureStore::open(&fixture.cache, &fixture.key, 4, &Silent).unwrap();
    wide.append(&images([1]), Array2::zeros((1, 4)).view())
        .unwrap();
    let (store, warnings) = fixture.open_warned();
    assert!(store.places.is_empty());
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("1 file passed over, which is no shard of 3 features: "));
    assert!(fixture.paths()[0].exists());
}

#[test]
fn image_that_a_header_invents_is_found_out() {
    let fixture = Fixture::new();
    fixture
        .open()
        .append(&images([1]), rows(&[1]).view())
        .unwrap();
    let path = fixture.paths().remove(0);
    let text = fs_err::read(&path).unwrap();
    let (old, new) = (image(1).to_string(), image(2).to_string());
    let at = text
        .windows(64)
        .position(|window| window == old.as_bytes())
        .unwrap();
    let mut bytes = text.clone();
    bytes[at..at + 64].copy_from_slice(new.as_bytes());
    fs_err::write(&path, bytes).unwrap();
    let mut store = fixture.open();
    assert_eq!(store.missing(&images([1, 2])), [0]);
    assert_eq!(store.read(&images([2]), &Silent).unwrap(), None);
}

/// A shard of three images, whose bytes `edit` changes; its name is made to fit.
fn forge(fixture: &Fixture, edit: impl Fn(&str) -> String) {
    fixture
        .open()
        .append(&images([1, 2, 3]), rows(&[1, 2, 3]).view())
        .unwrap();
    let path = fixture.paths().remove(0);
    let bytes = fs_err::read(&path).unwrap();
    let n_header = usize::try_from(header_bytes(&bytes).unwrap()).unwrap();
    let (header, data) = bytes[LENGTH_BYTES..].split_at(n_header);
    let mut header = edit(std::str::from_utf8(header).unwrap())
        .trim_end()
        .to_owned();
    while !header.len().is_multiple_of(LENGTH_BYTES) {
        header.push(' ');
    }
    let length = (header.len() as u64).to_le_bytes();
    let forged = [&length, header.as_bytes(), data].concat();
    let name = format!("{}.safetensors", Digest::of(&forged));
    fs_err::write(path.with_file_name(name), forged).unwrap();
    fs_err::remove_file(path).unwrap();
}

#[test]
fn swapped_images_are_found_out_though_the_name_was_made_to_fit() {
    let fixture = Fixture::new();
    let (one, two) = (image(1).to_string(), image(2).to_string());
    forge(&fixture, |header| {
        header
            .replace(&one, "…")
            .replace(&two, &one)
            .replace('…', &two)
    });
    let warnings = Warnings::default();
    let asked = images([1, 2, 3]);
    let mut store = fixture.open();
    assert_eq!(store.read(&asked, &warnings).unwrap(), None);
    assert_eq!(store.missing(&asked), [0, 1, 2]);
    let warnings = warnings.0.into_inner().unwrap();
    assert!(
        warnings[0].contains("the seal does not fit"),
        "{warnings:?}"
    );
    store.append(&asked, rows(&[1, 2, 3]).view()).unwrap();
    assert_eq!(
        fixture.open().read(&asked, &Silent).unwrap().unwrap(),
        rows(&[1, 2, 3])
    );
}

#[test]
fn a_shard_without_a_seal_is_passed_over_and_kept() {
    let fixture = Fixture::new();
    forge(&fixture, |header| header.replace("\"seal\"", "\"soul\""));
    let (store, warnings) = fixture.open_warned();
    assert_eq!(store.missing(&images([1, 2, 3])), [0, 1, 2]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("1 file passed over, which is no shard of 3 features: "),
        "{warnings:?}"
    );
    assert_eq!(fixture.paths().len(), 1);
}

#[test]
fn a_shard_of_another_backbone_is_found_out() {
    let fixture = Fixture::new();
    let other = KeyBuilder::new("features", 2).finish().key;
    let mut others = FeatureStore::open(&fixture.cache, &other, 3, &Silent).unwrap();
    others.append(&images([1]), rows(&[1]).view()).unwrap();
    let shard = others.shards.list().unwrap()[0];
    let mut store = fixture.open();
    let here = store.shards.path(&shard);
    fs_err::create_dir_all(here.parent().unwrap()).unwrap();
    fs_err::copy(others.shards.path(&shard), here).unwrap();
    store = fixture.open();
    assert_eq!(store.read(&images([1]), &Silent).unwrap(), None);
}

#[test]
fn shard_that_was_cut_or_grew_is_removed_on_opening() {
    let fixture = Fixture::new();
    let damages: [fn(&mut Vec<u8>); 3] = [
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.truncate(bytes.len() - 12),
        |bytes| bytes.push(0),
    ];
    for damage in damages {
        fixture
            .open()
            .append(&images([1]), rows(&[1]).view())
            .unwrap();
        let path = fixture.paths().remove(0);
        let mut bytes = fs_err::read(&path).unwrap();
        damage(&mut bytes);
        fs_err::write(&path, bytes).unwrap();
        let (store, warnings) = fixture.open_warned();
        assert_eq!(store.missing(&images([1])), [0]);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }
}

#[test]
fn row_of_two_processes_is_taken_from_the_same_shard_by_all() {
    let fixture = Fixture::new();
    let (mut left, mut right) = (fixture.open(), fixture.open());
    left.append(&images([1, 2]), rows(&[1, 2]).view()).unwrap();
    right
        .append(&images([2, 3]), (rows(&[2, 3]) + 0.5).view())
        .unwrap();
    let asked = images([2]);
    let first = fixture.open().read(&asked, &Silent).unwrap().unwrap();
    right.append(&images([1, 2]), rows(&[1, 2]).view()).unwrap();
    left.append(&images([2, 3]), (rows(&[2, 3]) + 0.5).view())
        .unwrap();
    for mut store in [left, right, fixture.open()] {
        assert_eq!(store.read(&asked, &Silent).unwrap().unwrap(), first);
    }
    // The other row serves where its shard is the only whole one.
    let damaged = fixture.paths().remove(0);
    fs_err::write(damaged, b"").unwrap();
    let other = fixture.open().read(&asked, &Silent).unwrap().unwrap();
    assert_eq!(
        (other - first)
            .mapv(f32::abs)
            .index_axis(Axis(0), 0)
            .to_vec(),
        [0.5; 3]
    );
}

#[test]
fn header_longer_than_the_first_reading_is_read() {
    let fixture = Fixture::new();
    let numbers: Vec<usize> = (0..3000).collect();
    fixture
        .open()
        .append(&images(0..3000), rows(&numbers).view())
        .unwrap();
    let mut store = fixture.open();
    assert_eq!(store.places.len(), 3000);
    assert_eq!(
        store.read(&images(0..3000), &Silent).unwrap().unwrap(),
        rows(&numbers)
    );
}

#[test]
fn forgotten_rows_give_way_to_new_ones_and_other_images_keep_theirs() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    store
        .append(&images(0..4), rows(&[0, 1, 2, 3]).view())
        .unwrap();
    store
        .append(&images([1, 5]), (rows(&[1, 5]) + 0.25).view())
        .unwrap();
    store.forget(&images([1, 2])).unwrap();
    assert_eq!(store.missing(&images(0..6)), [1, 2, 4]);
    // Until there are new rows, the old ones are there for everybody else.
    assert_eq!(fixture.open().places.len(), 5);

    store
        .append(&images([1]), (rows(&[1]) + 0.5).view())
        .unwrap();
    store.replace_forgotten(&Silent).unwrap();
    let expected = [(0, 0.0), (1, 0.5), (2, 0.0), (3, 0.0), (5, 0.25)];
    for mut store in [store, fixture.open()] {
        for (number, added) in expected {
            let row = store.read(&images([number]), &Silent).unwrap().unwrap();
            assert_eq!(row, rows(&[number]) + added);
        }
        assert_eq!(store.places.len(), 5);
    }
}

#[test]
fn rows_that_come_out_as_they_were_stay() {
    let fixture = Fixture::new();
    let mut store = fixture.open();
    store.append(&images([1, 2]), rows(&[1, 2]).view()).unwrap();
    let before = fixture.paths();
    store.forget(&images([1, 2])).unwrap();
    store.append(&images([1, 2]), rows(&[1, 2]).view()).unwrap();
    store.replace_forgotten(&Silent).unwrap();
    assert_eq!(fixture.paths(), before);
    let asked = images([2, 1]);
    assert_eq!(store.read(&asked, &Silent).unwrap().unwrap(), rows(&[2, 1]));
}

#[test]
fn damaged_shards_are_told_of_in_one_line() {
    let fixture = Fixture::new();
    let damage_all = |at: fn(&[u8]) -> usize| {
        let mut store = fixture.open();
        for n in 0..30 {
            store.append(&images([n]), rows(&[n]).view()).unwrap();
        }
        for path in fixture.paths() {
            let mut bytes = fs_err::read(&path).unwrap();
            let at = at(&bytes);
            bytes[at] ^= 0xff;
            fs_err::write(&path, bytes).unwrap();
        }
    };
    damage_all(|_| 9);
    let (store, warnings) = fixture.open_warned();
    assert!(store.places.is_empty());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("30 damaged shards of features removed"));
    assert!(warnings[0].ends_with(" and 20 more"));

    damage_all(|bytes| bytes.len() - 1);
    let warnings = Warnings::default();
    let mut store = fixture.open();
    assert_eq!(store.read(&images(0..30), &warnings).unwrap(), None);
    assert_eq!(store.missing(&images(0..30)).len(), 30);
    assert_eq!(warnings.0.into_inner().unwrap().len(), 1);
}
