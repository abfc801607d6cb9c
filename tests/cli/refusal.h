// A command line that must be refused: one clear message, an exit code, and nothing changed on
// disk.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "cli/invoke.h"
#include "support/support.h"

namespace retort::tests {

/// Everything below a folder: what kind it is, and the bytes of plain files.
inline std::map<std::string, std::string> snapshot(const std::filesystem::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const bool plain = entry.is_regular_file() && !entry.is_symlink();
    all[entry.path().string()] = plain                  ? "file " + read_text(entry.path())
                                 : entry.is_directory() ? "folder"
                                                        : "other";
  }
  return all;
}

/// Checks that nothing below the folder was added, removed or changed.
inline void expect_unchanged(const std::map<std::string, std::string>& before,
                             const std::filesystem::path& folder) {
  const auto after = snapshot(folder);
  for (const auto& [path, content] : after)
    EXPECT_TRUE(before.contains(path) && before.at(path) == content) << "left behind: " << path;
  for (const auto& [path, content] : before)
    EXPECT_TRUE(after.contains(path)) << "removed: " << path;
}

/// Checks one failure: its code and the parts of its one message.
inline void expect_message(const Answer& answer, int code, const std::vector<std::string>& parts) {
  EXPECT_EQ(answer.code, code) << answer.err;
  EXPECT_EQ(answer.out, "");
  const size_t begin = answer.err.find("retort: ");
  ASSERT_NE(begin, std::string::npos) << answer.err;
  EXPECT_EQ(answer.err.find("\nretort: ", begin), std::string::npos) << answer.err;
  for (const std::string& part : parts)
    EXPECT_NE(answer.err.find(part, begin), std::string::npos)
        << "message: " << answer.err << "lacks: " << part;
  for (const char* never : {"defect", "frame #", "Exception raised", "c10::", "std::", "json."})
    EXPECT_EQ(answer.err.find(never), std::string::npos) << answer.err;
}

/// Runs a command line that must be refused without a trace in `folder`.
inline void expect_refused(const std::filesystem::path& folder,
                           const std::vector<std::string>& arguments, int code,
                           const std::vector<std::string>& parts) {
  const auto before = snapshot(folder);
  expect_message(call(arguments), code, parts);
  expect_unchanged(before, folder);
}

/// Words of one command line, by spaces.
inline std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) all.push_back(word);
  return all;
}

}  // namespace retort::tests
