//! The folder of a run, and who may write to it.

use crate::{Manifest, StoreError};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, create_dir_all, read_dir};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where the parts of a run lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPath(PathBuf);

impl RunPath {
    /// The run at `path`, or, when `path` is a folder of runs, the newest run in it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    pub fn find(path: &Path) -> Result<Self, StoreError> {
        if path.join("manifest").is_file() {
            return Ok(RunPath(path.to_path_buf()));
        }
        let newest = Self::list(path).pop();
        newest.ok_or_else(|| StoreError::NotFound(path.to_path_buf()))
    }

    /// All runs in a folder, oldest first: their names begin with their time.
    pub fn list(dir: &Path) -> Vec<Self> {
        let entries = read_dir(dir).into_iter().flatten().flatten();
        let mut runs: Vec<_> = entries.map(|entry| entry.path()).filter(|path| is_run(path)).collect();
        runs.sort();
        runs.into_iter().map(RunPath).collect()
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The dictionary file.
    pub fn dictionary(&self) -> PathBuf {
        self.0.join("dictionary")
    }

    /// The folder of source texts.
    pub fn sources(&self) -> PathBuf {
        self.0.join("sources")
    }

    /// The folder of rings.
    pub fn rings(&self) -> PathBuf {
        self.0.join("rings")
    }

    /// The folder of segments.
    pub fn segments(&self) -> PathBuf {
        self.0.join("segments")
    }

    /// A file that is being written to take the place of a segment.
    pub(crate) fn draft(&self, number: u32) -> PathBuf {
        self.segments().join(format!("{number:06}.draft"))
    }

    /// The file of a segment.
    pub fn segment(&self, number: u32) -> PathBuf {
        self.segments().join(format!("{number:06}.seg"))
    }

    /// The number that a file's name says.
    pub fn number(file: &Path) -> Option<u32> {
        file.file_stem()?.to_str()?.parse().ok()
    }

    /// The files in one of its folders with this ending, by number: names have six digits, and more when these are used up.
    pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
        let entries = read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|found| found == ending));
        files.sort_by(|one, other| (Self::number(one), one).cmp(&(Self::number(other), other)));
        files
    }

    /// Bytes of its segments.
    pub fn bytes(&self) -> u64 {
        let files = Self::files(&self.segments(), "seg");
        files.iter().filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
    }

    /// Who recorded it.
    ///
    /// # Errors
    /// When the manifest cannot be read or is damaged.
    pub fn manifest(&self) -> Result<Manifest, StoreError> {
        Manifest::read(&self.0.join("manifest"))
    }

    /// Whether a VM is recording it now.
    pub fn is_live(&self) -> bool {
        // The lock ends with the process that holds it, however that ended.
        File::open(self.lock()).is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
    }

    /// Takes away what was made of a run that could not begin. It would be the newest of its folder, and take the place of one
    /// that holds something.
    pub(crate) fn remove(&self) {
        // What cannot be removed stays.
        let _ = std::fs::remove_dir_all(&self.0);
    }

    fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Whether a failed test has named it in the last day: `ElixirScope.Case.Keep` makes this file.
    fn is_named(&self, now: SystemTime) -> bool {
        let named = std::fs::metadata(self.0.join("failed")).and_then(|file| file.modified());
        named.is_ok_and(|time| now.duration_since(time).is_ok_and(|age| age < NAMED))
    }
}

fn is_run(path: &Path) -> bool {
    path.join("manifest").is_file()
}

/// A run that this process records. The lock is held until it is dropped.
#[derive(Debug)]
pub struct Run {
    path: RunPath,
    _lock: File,
}

impl Run {
    /// Makes a new run of this name in a folder of runs, which is made too when it is missing.
    ///
    /// # Errors
    /// When `dir` is itself a run, or the system refuses.
    pub fn create(dir: &Path, name: &str, manifest: &Manifest) -> Result<Self, StoreError> {
        if is_run(dir) {
            let path = RunPath(dir.to_path_buf());
            return Err(if path.is_live() { StoreError::InUse(path.0) } else { StoreError::IsRun(path.0) });
        }
        let path = RunPath(dir.join(name));
        create_dir_all(dir).map_err(StoreError::io("make the folder", dir))?;
        // A name that is taken is an error: a run is never continued by another. What is not whole goes again.
        std::fs::create_dir(&path.0).map_err(StoreError::io("make the folder", &path.0))?;
        Self::fill(path.clone(), manifest).inspect_err(|_| path.remove())
    }

    fn fill(path: RunPath, manifest: &Manifest) -> Result<Self, StoreError> {
        for folder in [path.rings(), path.segments()] {
            std::fs::create_dir(&folder).map_err(StoreError::io("make the folder", &folder))?;
        }
        let lock = File::create(path.lock()).map_err(StoreError::io("make", path.lock()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(StoreError::InUse(path.0));
        }
        // The manifest is last: a folder without one is no run.
        manifest.write(&path.0.join("manifest"))?;
        Ok(Run { path, _lock: lock })
    }

    /// Where it lies.
    pub fn path(&self) -> &RunPath {
        &self.path
    }

    /// Takes it away again, when what else it needs cannot be made.
    pub fn cancel(self) {
        self.path.remove();
    }
}

/// How long a run that a failed test has named is passed over when runs are counted.
const NAMED: Duration = Duration::from_secs(24 * 3600);

/// Removes the oldest finished runs of a folder until at most `keep` are left, counting those that are being
/// recorded, and their segments take at most so many bytes. Those that a failed test has named within a day are counted by
/// themselves: at most `keep` of them are left too. What cannot be removed stays.
pub(crate) fn remove_old(dir: &Path, keep: usize, bytes: Option<u64>) {
    let now = SystemTime::now();
    let runs: Vec<_> = RunPath::list(dir).into_iter().map(|run| (run.is_named(now), run)).collect();
    let mut sum: u64 = runs.iter().map(|(_, run)| run.bytes()).sum();
    let mut counts = [false, true].map(|which| runs.iter().filter(|(named, _)| *named == which).count());
    for (named, run) in runs.iter().filter(|(_, run)| !run.is_live()) {
        let count = &mut counts[usize::from(*named)];
        if *count > keep || bytes.is_some_and(|most| sum > most) {
            (*count, sum) = (*count - 1, sum - run.bytes());
            let _ = std::fs::remove_dir_all(&run.0);
        }
    }
}

impl Run {
    /// Removes the oldest finished runs beside this one until at most `keep` are left, and their segments take at most so
    /// many bytes; `None`: however many.
    pub fn remove_old(&self, keep: usize, bytes: Option<u64>) {
        if let Some(dir) = self.path.0.parent() {
            remove_old(dir, keep.max(1), bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elixir_scope_clock::Nanos;

    fn manifest() -> Manifest {
        Manifest { started: Nanos(7), os_pid: 1, node: "nonode@nohost".into(), vm: "Elixir".into() }
    }

    #[test]
    fn a_run_is_found_by_its_own_path_and_as_the_newest_of_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let _old = Run::create(dir.path(), "2026-01", &manifest()).unwrap();
        let new = Run::create(dir.path(), "2026-02", &manifest()).unwrap();
        assert_eq!(RunPath::find(dir.path()).unwrap(), *new.path());
        assert_eq!(RunPath::find(new.path().dir()).unwrap(), *new.path());
        assert_eq!(new.path().manifest().unwrap(), manifest());
        let missing = RunPath::find(&dir.path().join("nothing")).unwrap_err();
        assert_eq!(missing.reason(), "not_found");
    }

    #[test]
    fn files_are_in_the_order_of_their_numbers_also_when_these_are_longer_than_names_are_made_for() {
        let dir = tempfile::tempdir().unwrap();
        let run = Run::create(dir.path(), "1", &manifest()).unwrap();
        let numbers = [999_998, 999_999, 1_000_000, 1_000_001];
        for number in numbers {
            File::create(run.path().segment(number)).unwrap();
        }
        let files = RunPath::files(&run.path().segments(), "seg");
        assert_eq!(files.iter().filter_map(|file| RunPath::number(file)).collect::<Vec<_>>(), numbers);
    }

    #[test]
    fn a_run_that_could_not_begin_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let _old = Run::create(dir.path(), "1", &manifest()).unwrap();
        Run::create(dir.path(), "2", &manifest()).unwrap().cancel();
        assert_eq!(RunPath::find(dir.path()).unwrap().dir(), dir.path().join("1"));
        assert!(!dir.path().join("2").exists());
    }

    #[test]
    fn a_run_is_live_while_its_recorder_lives() {
        let dir = tempfile::tempdir().unwrap();
        let run = Run::create(dir.path(), "a", &manifest()).unwrap();
        let path = run.path().clone();
        assert!(path.is_live());
        assert_eq!(Run::create(path.dir(), "b", &manifest()).unwrap_err().reason(), "in_use");
        drop(run);
        assert!(!path.is_live());
        assert_eq!(Run::create(path.dir(), "b", &manifest()).unwrap_err().reason(), "is_run");
    }

    #[test]
    fn old_runs_are_removed_and_live_ones_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let live = Run::create(dir.path(), "1", &manifest()).unwrap();
        for name in ["2", "3", "4"] {
            drop(Run::create(dir.path(), name, &manifest()).unwrap());
        }
        live.remove_old(2, None);
        let left: Vec<_> = RunPath::list(dir.path()).iter().map(|run| run.dir().to_path_buf()).collect();
        assert_eq!(left, ["1", "4"].map(|name| dir.path().join(name)));
    }

    #[test]
    fn runs_that_a_failed_test_has_named_are_counted_by_themselves_for_a_day() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["1", "2", "3", "4", "5", "6"] {
            let run = Run::create(dir.path(), name, &manifest()).unwrap();
            if ["1", "2", "3", "4"].contains(&name) {
                File::create(run.path().dir().join("failed")).unwrap();
            }
        }
        let yesterday = SystemTime::now() - NAMED - Duration::from_secs(1);
        let old = File::options().write(true).open(dir.path().join("2/failed")).unwrap();
        old.set_modified(yesterday).unwrap();
        let live = Run::create(dir.path(), "7", &manifest()).unwrap();
        let left = || RunPath::list(dir.path()).iter().map(|run| run.dir().to_path_buf()).collect::<Vec<_>>();
        live.remove_old(3, None);
        assert_eq!(left(), ["1", "3", "4", "5", "6", "7"].map(|name| dir.path().join(name)));
        live.remove_old(2, None);
        assert_eq!(left(), ["3", "4", "6", "7"].map(|name| dir.path().join(name)));
        std::fs::write(RunPath(dir.path().join("3")).segment(1), [0; 100]).unwrap();
        live.remove_old(10, Some(99));
        assert_eq!(left(), ["4", "6", "7"].map(|name| dir.path().join(name)));
    }

    #[test]
    fn old_runs_are_removed_while_they_take_too_many_bytes() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["1", "2", "3"] {
            let run = Run::create(dir.path(), name, &manifest()).unwrap();
            std::fs::write(run.path().segment(1), [0; 100]).unwrap();
        }
        let live = Run::create(dir.path(), "4", &manifest()).unwrap();
        live.remove_old(10, Some(200));
        let left: Vec<_> = RunPath::list(dir.path()).iter().map(|run| run.dir().to_path_buf()).collect();
        assert_eq!(left, ["2", "3", "4"].map(|name| dir.path().join(name)));
    }

    #[test]
    fn a_damaged_manifest_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let run = Run::create(dir.path(), "1", &manifest()).unwrap();
        let file = run.path().dir().join("manifest");
        let whole = std::fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&file, &bytes).unwrap();
            // The version is read first: what the rest means depends on it.
            let reason = if (8..12).contains(&at) { "other_version" } else { "damaged" };
            assert_eq!(run.path().manifest().unwrap_err().reason(), reason, "flip at {at}");
            std::fs::write(&file, &whole[..at]).unwrap();
            assert_eq!(run.path().manifest().unwrap_err().reason(), "damaged", "cut at {at}");
        }
    }
}
