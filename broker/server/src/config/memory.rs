//! How much memory there is, and who may have how much of it.

use std::fs;
use std::path::Path;

const MIB: u64 = 1024 * 1024;

/// The shares of the memory limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget {
    /// What this process may use at all.
    pub limit_bytes: u64,
    /// Request frames in flight.
    pub request_bytes: u64,
}

impl MemoryBudget {
    /// An eighth for requests, between 8 and 256 MiB. Responses come from the page cache, which is not
    /// counted here.
    pub fn of_limit(limit_bytes: u64) -> Self {
        Self { limit_bytes, request_bytes: (limit_bytes / 8).clamp(8 * MIB, 256 * MIB) }
    }
}

/// The least of the control group's limit (version 2 or 1) and the machine's memory.
pub fn memory_limit_bytes() -> u64 {
    memory_limit_under(Path::new("/"))
}

fn memory_limit_under(root: &Path) -> u64 {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let machine = machine_bytes(&fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default());
    let limits = groups.lines().flat_map(|line| group_limits(root, line));
    limits.chain(machine).min().unwrap_or(1024 * MIB)
}

/// Limits of the group named by a line of `/proc/self/cgroup` and of all groups above it. Inside a
/// container the named path may not exist; its group is then mounted as the root.
fn group_limits(root: &Path, line: &str) -> Vec<u64> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { return Vec::new() };
    let (mount, file) = match controllers {
        "" => (root.join("sys/fs/cgroup"), "memory.max"),
        "memory" => (root.join("sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    let group = Path::new(path.trim_start_matches('/'));
    let read = |group: &Path| fs::read_to_string(mount.join(group).join(file)).ok()?.trim().parse().ok();
    group.ancestors().filter_map(read).collect()
}

fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    #[test]
    fn the_tightest_limit_of_all_groups_counts() {
        let root = root(&[
            ("proc/self/cgroup", "0::/pods/mine\n"),
            ("proc/meminfo", "MemTotal:  8000 kB\n"),
            ("sys/fs/cgroup/pods/mine/memory.max", "max\n"),
            ("sys/fs/cgroup/pods/memory.max", "4096000\n"),
        ]);
        assert_eq!(memory_limit_under(root.path()), 4_096_000);
    }

    #[test]
    fn without_a_group_the_machine_counts() {
        let root = root(&[("proc/self/cgroup", "0::/\n"), ("proc/meminfo", "MemTotal:  8000 kB\n")]);
        assert_eq!(memory_limit_under(root.path()), 8_192_000);
    }

    #[test]
    fn the_old_hierarchy_is_read_too() {
        let root = root(&[
            ("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/1\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "500\n"),
        ]);
        assert_eq!(memory_limit_under(root.path()), 500);
    }

    #[test]
    fn requests_get_an_eighth_within_bounds() {
        assert_eq!(MemoryBudget::of_limit(16 * MIB).request_bytes, 8 * MIB);
        assert_eq!(MemoryBudget::of_limit(512 * MIB).request_bytes, 64 * MIB);
        assert_eq!(MemoryBudget::of_limit(1 << 40).request_bytes, 256 * MIB);
    }
}
