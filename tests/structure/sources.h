// What the structure tests share: the files of the project and their include lines.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

namespace retort::tests {

inline std::filesystem::path source_root() {
  return RETORT_SOURCE_DIR;
}

/// Every plain file under the given folders of the project, sorted, relative to its root.
inline std::vector<std::filesystem::path> files_under(const std::vector<std::string>& folders) {
  std::vector<std::filesystem::path> files;
  for (const std::string& folder : folders) {
    if (!std::filesystem::exists(source_root() / folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(source_root() / folder))
      if (entry.is_regular_file())
        files.push_back(std::filesystem::relative(entry.path(), source_root()));
  }
  std::sort(files.begin(), files.end());
  return files;
}

inline std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::ifstream in(source_root() / file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// One #include line.
struct Include {
  std::string name;
  bool quoted = false;
};

inline std::vector<Include> includes_of(const std::filesystem::path& file) {
  static const std::regex pattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)");
  std::vector<Include> found;
  std::smatch match;
  for (const std::string& line : lines_of(file))
    if (std::regex_match(line, match, pattern)) found.push_back({match[2], match[1] == "\""});
  return found;
}

}  // namespace retort::tests
