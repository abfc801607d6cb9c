// A folder of results that knows by its recipe.toml what it was begun with. No torch here.
#pragma once

#include <filesystem>
#include <string>

#include "retort/core/options.h"

namespace retort {

/// A kind of folder: its name in messages, and the option that may grow from start to start.
struct FolderKind {
  std::string name;     ///< "run folder"
  std::string growing;  ///< "iterations"
};

/// True where `path` was begun with these options, so that work can go on. StateError where it is a
/// file, holds something else, or was begun with other values of options that change the result:
/// lists the keys that differ. Changes nothing on disk.
bool folder_started(const std::filesystem::path& path, const OptionSet& options,
                    const FolderKind& kind);

/// The options that change a result, as TOML without paths: what a file of the result says of how
/// it was made.
std::string portable_recipe(const OptionSet& options, const std::string& data_name);

/// "opening the run folder 'runs/a'": how messages begin.
std::string opening_folder(const std::filesystem::path& path, const FolderKind& kind);

/// An exclusive lock of a folder's file `.lock`, held until destruction.
class FolderLock {
 public:
  /// Makes the folder. Without `wait`, StateError where another process holds the lock.
  FolderLock(const std::filesystem::path& path, const FolderKind& kind, bool wait);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  int file_ = -1;
};

}  // namespace retort
