// No torch here.
#include "synthetic/class_folders.h"

#include <algorithm>

namespace retort::synthetic {

std::string class_line(std::string name) {
  for (char& c : name)
    if (static_cast<unsigned char>(c) < 0x20) c = '_';
  return name;
}

std::vector<std::string> class_folders(const std::vector<std::string>& class_names) {
  std::vector<std::string> out;
  for (const std::string& name : class_names) {
    std::string folder = class_line(name);
    std::replace_if(
        folder.begin(), folder.end(), [](char c) { return c == '/' || c == '\\'; }, '_');
    if (folder.empty() || folder[0] == '.') folder.insert(0, "_");
    const bool taken = std::find(out.begin(), out.end(), folder) != out.end();
    if (folder == kClassNamesFile || taken) folder += "_" + std::to_string(out.size());
    out.push_back(folder);
  }
  return out;
}

}  // namespace retort::synthetic
