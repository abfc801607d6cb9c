// Files of other programs that hold images or arrays, named with a way out. No torch here.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace retort::data {

/// What a file or folder is, and lines of Python that turn it into something that is read.
struct Container {
  std::string kind;
  std::string advice;
};

/// Recognises by first bytes, else by ending; a folder by what it holds.
std::optional<Container> known_container(const std::filesystem::path& path);

}  // namespace retort::data
