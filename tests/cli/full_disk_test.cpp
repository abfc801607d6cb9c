// Full disks: nothing is left half written, and a run goes on when there is space.
#include <sys/resource.h>

#include <csignal>

#include "cli/bad_runs.h"

namespace retort {
namespace {

using namespace tests;
namespace fs = std::filesystem;

class FullDisk : public BadRuns {};

/// As on a full disk: no file of this process and those it starts grows beyond `bytes`.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit small = before_;
    small.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &small);
  }
  SmallFiles(const SmallFiles&) = delete;
  SmallFiles& operator=(const SmallFiles&) = delete;
  ~SmallFiles() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

bool holds_partial_files(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().filename().string().find("partial") != std::string::npos) return true;
  return false;
}

TEST_F(FullDisk, AFullDiskLeavesNothingHalfWritten) {
  copy_run();
  tests::write_text(at("kept.pt"), "an older export");
  const auto before = tests::snapshot(at("").parent_path());
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  auto with_small_files = [&](rlim_t bytes, const std::string& line) {
    const SmallFiles limit(bytes);
    return call(expand(line));
  };
  const Parts advice{"File too large", "ulimit -f"};
  auto expect_full = [&](const Answer& answer, const std::string& name) {
    tests::expect_message(answer, 4, {name, advice[0], advice[1]});
  };
  expect_full(with_small_files(4096, "export DIR/x --format pt --out DIR/kept.pt"), "kept.pt'");
  expect_full(with_small_files(4096, "export DIR/x --format npz --out DIR/y.npz"), "y.npz'");
  const Answer evaluated = with_small_files(64, "EVAL --random-baseline=false");
  expect_full(evaluated, "x/records.jsonl'");
  EXPECT_NE(evaluated.err.find("could not be kept: {"), std::string::npos);
  EXPECT_NE(evaluated.err.find("\"kind\":\"evaluation\""), std::string::npos);
  signal(SIGXFSZ, handler);
  tests::expect_unchanged(before, at("").parent_path());
}

TEST_F(FullDisk, ARunOnAFullDiskGoesOnWhenThereIsSpace) {
  pid_t child = -1;
  {
    const SmallFiles limit(24 << 10);
    child = tests::start(expand("GOOD DIR/full_disk"), at("messages").string());
  }
  EXPECT_EQ(tests::wait_for(child), 4);
  const std::string message = tests::read_text(at("messages"));
  for (const char* part : {"full_disk/checkpoint.safetensors'", "File too large", "ulimit -f"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_FALSE(holds_partial_files(at("full_disk")));
  EXPECT_FALSE(fs::exists(at("full_disk") / "checkpoint.safetensors"));
  ASSERT_EQ(call(expand("GOOD DIR/full_disk")).code, 0);
  for (const char* name : {"distilled.safetensors", "checkpoint.safetensors"})
    EXPECT_EQ(tests::read_text(at("full_disk") / name), tests::read_text(at("run") / name));
}

}  // namespace
}  // namespace retort
