//! What the process keeps of the machine's memory.

use std::ops::Range;

/// Buffers from this size on are mapped by themselves, and unmapped when freed. It is glibc's own first value, in bytes.
#[cfg(target_env = "gnu")]
const MAPPED_FROM_BYTES: libc::c_int = 128 << 10;

/// Has the allocator give large buffers back when they are freed. By itself glibc raises the size from which it maps
/// with each large buffer that it frees: soon they lie among the small ones, and what is freed stays. Steady traffic
/// takes its large buffers from pools. Call it before there are other threads.
pub(crate) fn keep_little() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number of the allocator's; nobody else does at this time.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
    }
}

/// Gives back the pages of code that only the start needed; those in use come back by themselves. Does nothing where
/// there is no `/proc`.
///
/// Reading settings, building commands and opening logs touch most of the binary once. Its code is mapped from the
/// file and never written, so a page given back costs at most a fault that finds it in the page cache.
pub(crate) fn give_code_back() {
    let (Ok(maps), Ok(program)) = (std::fs::read_to_string("/proc/self/maps"), std::env::current_exe())
    else {
        return;
    };
    let Some(program) = program.to_str() else { return };
    for code in maps.lines().filter_map(|line| code_of(line, program)) {
        // SAFETY: a private mapping of a file that can be executed and not written holds what the file holds, so
        // its pages are read again when touched. Advice that is refused changes nothing.
        let _ = unsafe { libc::madvise(code.start as *mut libc::c_void, code.len(), libc::MADV_DONTNEED) };
    }
}

/// The addresses of a line of `/proc/self/maps` that maps code of `program`.
fn code_of(line: &str, program: &str) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (addresses, rights, path) = (words.next()?, words.next()?, words.nth(3)?);
    if rights != "r-xp" || path != program {
        return None;
    }
    let (start, end) = addresses.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_the_program_is_given_back() {
        let code = "55d0c000-55d0e000 r-xp 0036b000 fe:00 42                         /opt/ottla";
        assert_eq!(code_of(code, "/opt/ottla"), Some(0x55d0_c000..0x55d0_e000));
        for other in [
            "55d0c000-55d0e000 r-xp 0036b000 fe:00 42                         /lib/libc.so.6",
            "55d0e000-55d0f000 rw-p 0036b000 fe:00 42                         /opt/ottla",
            "55d0e000-55d0f000 r--p 0036b000 fe:00 42                         /opt/ottla",
            "7ffd1000-7ffd3000 r-xp 00000000 00:00 0                          [vdso]",
            "7ffd1000-7ffd3000 rw-p 00000000 00:00 0",
            "",
        ] {
            assert_eq!(code_of(other, "/opt/ottla"), None, "{other}");
        }
    }

    #[test]
    fn the_program_goes_on_without_its_pages() {
        keep_little();
        give_code_back();
        assert_eq!("12".parse(), Ok(12));
    }
}
