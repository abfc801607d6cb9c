// A finished run on small data, and damages to copies of it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cli/refusal.h"
#include "cli/small_data.h"
#include "retort/io/tensor_file.h"

namespace retort::tests {

namespace fs = std::filesystem;
using Parts = std::vector<std::string>;

struct BadRun {
  std::string fact;
  std::function<void(const fs::path& run)> damage;  ///< changes a copy of the finished run, DIR/x
  std::string line;                                 ///< words; DIR stands for the temporary folder
  Parts parts;
  int code = 3;
};

/// One small data set and one finished run, shared by all cases.
class BadRuns : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    place_ = new TempFolder;
    write_small_data(at("data"));
    ASSERT_EQ(call(expand("GOOD DIR/run")).code, 0);
  }
  static void TearDownTestSuite() { delete place_; }

  static fs::path at(const std::string& name) { return *place_ / name; }

  /// GOOD is the command of the finished run up to its folder; EVAL a short evaluation.
  static std::vector<std::string> expand(const std::string& line) {
    return words(in_full(
        line, {{"GOOD",
                "distill --method dm --data DIR/data --network convnet-w8-d2 --images-per-class 1 "
                "--iterations 3 --real-batch 4 --threads 1 --out"},
               {"EVAL", "eval DIR/x --students 1 --evaluation-epochs 2 --threads 1"},
               {"DIR", place_->path().string()}}));
  }

  /// A fresh copy of the finished run in DIR/x.
  static fs::path copy_run() {
    fs::remove_all(at("x"));
    fs::copy(at("run"), at("x"), fs::copy_options::recursive);
    fs::remove(at("x") / "checkpoint.previous.safetensors");  // nothing to go back to
    return at("x");
  }

  static void expect_each_refused(const std::vector<BadRun>& cases) {
    for (const BadRun& bad : cases) {
      SCOPED_TRACE(bad.fact);
      const fs::path run = copy_run();
      if (bad.damage) bad.damage(run);
      expect_refused(place_->path(), expand(bad.line), bad.code, bad.parts);
    }
  }

 private:
  static inline TempFolder* place_ = nullptr;
};

inline void cut(const fs::path& file) {
  fs::resize_file(file, fs::file_size(file) / 2);
}

/// A damage that cuts a file of the run in half.
inline std::function<void(const fs::path&)> halved(const std::string& name) {
  return [=](const fs::path& run) { cut(run / name); };
}

/// A damage that rewrites a tensor file of the run. A run without its result goes on from its
/// checkpoint.
inline std::function<void(const fs::path&)> edited(const std::string& name,
                                                   const std::function<void(TensorFile&)>& edit) {
  return [=](const fs::path& run) {
    TensorFile file = load_tensors(run / name);
    edit(file);
    save_tensors(run / name, file.tensors, file.metadata);
    if (name == "checkpoint.safetensors") fs::remove(run / "distilled.safetensors");
  };
}

/// A damage that flips one bit of the last byte.
inline std::function<void(const fs::path&)> flipped(const std::string& name) {
  return [=](const fs::path& run) {
    std::string bytes = read_text(run / name);
    bytes.back() ^= 1;
    write_text(run / name, bytes);
  };
}

inline std::function<void(const fs::path&)> replaced(const std::string& name,
                                                     const std::string& text) {
  return [=](const fs::path& run) { write_text(run / name, text); };
}

}  // namespace retort::tests
