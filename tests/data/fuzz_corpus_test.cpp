// Replays the corpus of the fuzzers: every file is either taken or refused with an Error.
#include <gtest/gtest.h>

#include "data/layout_files.h"
#include "fuzz/targets.h"
#include "support/support.h"

namespace retort::fuzz {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const std::string& target) {
  std::vector<fs::path> files;
  for (const auto& entry :
       fs::directory_iterator(std::string(RETORT_SOURCE_DIR) + "/tests/fuzz/corpus/" + target))
    files.push_back(entry.path());
  return files;
}

TEST(FuzzCorpus, IsReplayedWithoutHarm) {
  for (const Target& target : kTargets) {
    int taken = 0;
    const std::vector<fs::path> files = files_of(target.name);
    for (const fs::path& file : files) {
      SCOPED_TRACE(file.string());
      EXPECT_NO_THROW(taken += accepts(target, tests::read_text(file)));
    }
    if (!target.needs_part || tests::images_and_archives()) {
      EXPECT_GT(taken, 0) << target.name;
    }
    EXPECT_LT(taken, static_cast<int>(files.size())) << target.name;
  }
}

// Every beginning of every valid file, too.
TEST(FuzzCorpus, EveryCutIsHarmless) {
  for (const Target& target : kTargets)
    for (const fs::path& file : files_of(target.name)) {
      const std::string bytes = tests::read_text(file);
      const size_t step = std::max<size_t>(1, bytes.size() / 64);
      for (size_t size = 0; size < bytes.size(); size += step)
        EXPECT_NO_THROW(accepts(target, bytes.substr(0, size))) << file << " cut to " << size;
    }
}

}  // namespace
}  // namespace retort::fuzz
