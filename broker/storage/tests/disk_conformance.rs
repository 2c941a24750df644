//! What every disk must do, checked for the real one and for the simulated one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use ottla_storage::sim_disk::SimDisk;
use ottla_storage::{Disk, FsDisk, read_full_at, write_all_at};
use std::io::{ErrorKind, IoSlice};
use std::path::Path;

type Check = fn(&dyn Disk, &Path);

const CHECKS: &[(&str, Check)] = &[
    ("slices are written one behind the other", slices_are_written_one_behind_the_other),
    ("many slices are written by one call", many_slices_are_written_by_one_call),
    ("a write behind the end leaves zeros", a_write_behind_the_end_leaves_zeros),
    ("a length can be cut and extended", a_length_can_be_cut_and_extended),
    ("create empties and open does not", create_empties_and_open_does_not),
    ("missing things are not found", missing_things_are_not_found),
    ("a rename replaces its target", a_rename_replaces_its_target),
    ("an open file outlives its name", an_open_file_outlives_its_name),
    (
        "a directory is renamed and removed with its content",
        a_directory_is_renamed_and_removed_with_its_content,
    ),
    ("a listing tells kinds and lengths", a_listing_tells_kinds_and_lengths),
    ("a lock is held once", a_lock_is_held_once),
    ("syncs succeed and there is room", syncs_succeed_and_there_is_room),
];

#[test]
fn the_real_disk_conforms() {
    for (name, check) in CHECKS {
        println!("{name}");
        let dir = tempfile::tempdir().unwrap();
        check(&FsDisk, dir.path());
    }
}

#[test]
fn the_simulated_disk_conforms() {
    for (name, check) in CHECKS {
        println!("{name}");
        let disk = SimDisk::new(1);
        disk.create_dir_all(Path::new("/data")).unwrap();
        check(&disk, Path::new("/data"));
    }
}

fn put(disk: &dyn Disk, path: &Path, content: &[u8]) {
    write_all_at(&*disk.create(path).unwrap(), content, 0).unwrap();
}

fn slices_are_written_one_behind_the_other(disk: &dyn Disk, dir: &Path) {
    let file = disk.create(&dir.join("f")).unwrap();
    file.write_all_at(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")], 0).unwrap();
    file.write_all_at(&[IoSlice::new(b"XY")], 1).unwrap();
    file.write_all_at(&[], 0).unwrap();
    assert_eq!(disk.read_all(&dir.join("f")).unwrap(), b"aXYde");
    let mut buffer = [0; 10];
    assert_eq!(read_full_at(&*file, &mut buffer, 3).unwrap(), 2);
    assert_eq!(&buffer[..2], b"de");
    assert_eq!(file.read_at(&mut buffer, 50).unwrap(), 0);
}

fn many_slices_are_written_by_one_call(disk: &dyn Disk, dir: &Path) {
    let parts: Vec<[u8; 3]> = (0..3_000u32).map(|i| [i as u8, (i >> 8) as u8, 7]).collect();
    let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    disk.create(&dir.join("f")).unwrap().write_all_at(&slices, 5).unwrap();
    assert_eq!(disk.read_all(&dir.join("f")).unwrap()[5..], parts.concat());
}

fn a_write_behind_the_end_leaves_zeros(disk: &dyn Disk, dir: &Path) {
    let file = disk.create(&dir.join("f")).unwrap();
    write_all_at(&*file, b"x", 4).unwrap();
    assert_eq!(disk.read_all(&dir.join("f")).unwrap(), b"\0\0\0\0x");
}

fn a_length_can_be_cut_and_extended(disk: &dyn Disk, dir: &Path) {
    let file = disk.create(&dir.join("f")).unwrap();
    assert!(file.is_empty().unwrap());
    write_all_at(&*file, b"abcdef", 0).unwrap();
    file.set_len(2).unwrap();
    file.set_len(4).unwrap();
    assert_eq!(file.len().unwrap(), 4);
    assert_eq!(disk.read_all(&dir.join("f")).unwrap(), b"ab\0\0");
    file.allocate(100).unwrap();
    assert_eq!(file.len().unwrap(), 100);
}

fn create_empties_and_open_does_not(disk: &dyn Disk, dir: &Path) {
    let path = dir.join("f");
    put(disk, &path, b"abc");
    assert_eq!(disk.open(&path).unwrap().len().unwrap(), 3);
    assert_eq!(disk.create(&path).unwrap().len().unwrap(), 0);
}

fn missing_things_are_not_found(disk: &dyn Disk, dir: &Path) {
    let missing = dir.join("missing");
    let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(disk.open(&missing).map(drop)), ErrorKind::NotFound);
    assert_eq!(kind(disk.create(&missing.join("f")).map(drop)), ErrorKind::NotFound);
    assert_eq!(kind(disk.list(&missing).map(drop)), ErrorKind::NotFound);
    assert_eq!(kind(disk.remove_file(&missing)), ErrorKind::NotFound);
    assert_eq!(kind(disk.rename(&missing, &dir.join("to"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.create_dir(&missing.join("d"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.create_dir(dir)), ErrorKind::AlreadyExists);
    assert!(!disk.exists(&missing));
}

fn a_rename_replaces_its_target(disk: &dyn Disk, dir: &Path) {
    put(disk, &dir.join("a"), b"new");
    put(disk, &dir.join("b"), b"old");
    disk.rename(&dir.join("a"), &dir.join("b")).unwrap();
    assert_eq!(disk.read_all(&dir.join("b")).unwrap(), b"new");
    assert!(!disk.exists(&dir.join("a")));
}

fn an_open_file_outlives_its_name(disk: &dyn Disk, dir: &Path) {
    put(disk, &dir.join("a"), b"abc");
    let file = disk.open(&dir.join("a")).unwrap();
    disk.remove_file(&dir.join("a")).unwrap();
    let mut buffer = [0; 3];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 3);
    assert!(!disk.exists(&dir.join("a")));
}

fn a_directory_is_renamed_and_removed_with_its_content(disk: &dyn Disk, dir: &Path) {
    disk.create_dir_all(&dir.join("d/e")).unwrap();
    disk.create_dir_all(&dir.join("d/e")).unwrap();
    put(disk, &dir.join("d/e/f"), b"abc");
    disk.rename(&dir.join("d"), &dir.join("x")).unwrap();
    assert_eq!(disk.read_all(&dir.join("x/e/f")).unwrap(), b"abc");
    disk.remove_dir_all(&dir.join("x")).unwrap();
    assert!(!disk.exists(&dir.join("x/e/f")) && !disk.exists(&dir.join("x")));
}

fn a_listing_tells_kinds_and_lengths(disk: &dyn Disk, dir: &Path) {
    disk.create_dir(&dir.join("d")).unwrap();
    put(disk, &dir.join("d/inner"), b"");
    put(disk, &dir.join("f"), b"abc");
    let mut entries = disk.list(dir).unwrap();
    entries.sort();
    let found: Vec<_> =
        entries.iter().map(|entry| (&entry.name[..], entry.is_dir, entry.len_bytes)).collect();
    assert_eq!(found, [("d", true, 0), ("f", false, 3)]);
}

fn a_lock_is_held_once(disk: &dyn Disk, dir: &Path) {
    let lock = disk.lock(&dir.join(".lock")).unwrap();
    assert_eq!(disk.lock(&dir.join(".lock")).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(lock);
    assert!(disk.lock(&dir.join(".lock")).is_ok());
}

fn syncs_succeed_and_there_is_room(disk: &dyn Disk, dir: &Path) {
    put(disk, &dir.join("f"), b"abc");
    disk.open(&dir.join("f")).unwrap().sync_data().unwrap();
    disk.sync_dir(dir).unwrap();
    let (free, total) = disk.space_bytes(dir).unwrap();
    assert!(free > 0 && free <= total);
}

#[test]
fn a_crash_of_the_machine_keeps_what_was_synced_and_makes_nothing_up() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let dir = Path::new("/d");
        disk.create_dir(dir).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let file = disk.create(&dir.join("f")).unwrap();
        write_all_at(&*file, &[1; 2_000], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(dir).unwrap();
        write_all_at(&*file, &[2; 3_000], 2_000).unwrap();
        disk.create(&dir.join("g")).unwrap();
        disk.rename(&dir.join("g"), &dir.join("h")).unwrap();
        disk.crash_machine();
        let content = disk.read_all(&dir.join("f")).unwrap();
        assert_eq!(content[..2_000], [1; 2_000]);
        assert!(content[2_000..].iter().all(|&byte| byte == 0 || byte == 2));
        assert!(content.len() <= 5_000);
        assert!(!(disk.exists(&dir.join("g")) && disk.exists(&dir.join("h"))));
        assert!(file.len().is_err());
    }
}
