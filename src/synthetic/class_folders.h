// The layout of an image folder: one folder a class, and a file that keeps the order of the
// classes.
#pragma once

#include <string>
#include <vector>

namespace retort::synthetic {

/// Class names, one a line, in class order; beside the class folders.
inline constexpr const char* kClassNamesFile = "class_names.txt";

/// A class name on one line.
std::string class_line(std::string name);
/// One folder name a class; names that would fall together get their class number.
std::vector<std::string> class_folders(const std::vector<std::string>& class_names);

}  // namespace retort::synthetic
