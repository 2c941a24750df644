//! Memory: decompression stays within its limit, and a batch that needs no change is judged without allocating.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use bytes::Bytes;
use ottla_records::validate::{ProduceRules, for_produce, sole_batch};
use ottla_records::{BuilderOptions, Compression, CompressionError, RecordBatchBuilder, patch, split};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LARGEST.set(LARGEST.get().max(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn batch(codec: Compression) -> Bytes {
    let mut builder =
        RecordBatchBuilder::new(BuilderOptions { compression: codec, ..BuilderOptions::default() });
    for i in 0..1_000 {
        builder.append(i, Some(b"key"), Some(&[3; 100]), &[("h", Some(b"v"))]).unwrap();
    }
    builder.build()
}

#[test]
fn judging_and_assigning_a_batch_allocates_nothing_whatever_its_codec() {
    for codec in Compression::ALL {
        let bytes = batch(codec);
        let rules = ProduceRules::defaults(2_000);
        let _warm_up = for_produce(&sole_batch(&bytes).unwrap(), &rules).unwrap();
        let before = ALLOCATIONS.get();
        let batch = sole_batch(&bytes).unwrap();
        let validated = for_produce(&batch, &rules).unwrap();
        let kept = validated.batch();
        let head = patch::assign(&kept.header, 77, 5, Some(9), kept.body());
        let cut = split(bytes.clone()).count();
        let after = ALLOCATIONS.get();
        assert_eq!((after - before, cut, head[16]), (0, 1, 2), "{codec:?}");
    }
}

#[test]
fn walking_uncompressed_records_allocates_nothing() {
    let batch = sole_batch(&batch(Compression::None)).unwrap();
    let before = ALLOCATIONS.get();
    let records = batch.records(0).unwrap();
    let bytes: usize = records.refs().map(|record| record.unwrap().value.unwrap().len()).sum();
    assert_eq!((ALLOCATIONS.get() - before, bytes), (0, 100_000));
}

#[test]
fn a_decompression_bomb_is_an_error_and_takes_no_more_than_its_limit() {
    let zeros = vec![0; 64 << 20];
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bomb = codec.compress(&zeros, None, 0).unwrap();
        let max_bytes = 1 << 20;
        LARGEST.set(0);
        let outcome = codec.decompress(&bomb, max_bytes);
        assert_eq!(outcome, Err(CompressionError::TooLarge { max_bytes }), "{codec:?}");
        assert!(LARGEST.get() <= 5 << 20, "{codec:?} asked for {} bytes", LARGEST.get());
        assert_eq!(
            codec.decompress(&bomb, zeros.len()).unwrap(),
            zeros,
            "{codec:?}: exactly the limit is fine"
        );
    }
}

#[test]
fn a_snappy_block_that_lies_about_its_length_gets_no_memory() {
    // Claims 512 MiB in a block of eight bytes.
    let block = [0x80, 0x80, 0x80, 0x80, 0x02, 0, 0, 0];
    LARGEST.set(0);
    let outcome = Compression::Snappy.decompress(&block, 1 << 30);
    assert!(matches!(outcome, Err(CompressionError::Corrupt { .. })));
    assert!(LARGEST.get() < 10_000);
}
