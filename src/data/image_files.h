// Finding image files below folders, and what is passed over there. No torch here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace retort::data {

/// What a walk met and did not take.
struct PassedOver {
  std::map<std::string, int64_t> leftovers;  ///< hidden and system files and folders, by name
  std::map<std::string, int64_t> kinds;      ///< files that are no images, by ending
  void add(const PassedOver& other);
  /// "2 .csv, 1 .txt"; empty where there are none.
  std::string kinds_text() const;
  /// One sentence with the counts; empty where nothing was passed over.
  std::string note() const;
};

/// Whether file managers, storage boxes, notebooks or unpackers leave such a name, in any case:
/// names that start with a dot, @eaDir, __MACOSX, Thumbs.db, lost+found and their like.
bool is_leftover(std::string_view name);

/// The names of the folders in `folder`, ascending; leftovers are passed over.
std::vector<std::string> folders_in(const std::filesystem::path& folder, PassedOver& passed);
std::vector<std::string> folders_in(const std::filesystem::path& folder);

/// The images that lie in `folder` itself, ascending; and whether there are any.
std::vector<std::filesystem::path> images_in(const std::filesystem::path& folder);
bool images_lie_in(const std::filesystem::path& folder);

/// All image files below `folder`, ascending by path.
std::vector<std::filesystem::path> image_files(const std::filesystem::path& folder,
                                               PassedOver& passed);

/// Whether an image lies anywhere below; looks no further than the first, and at so many entries.
bool holds_images(const std::filesystem::path& folder);

}  // namespace retort::data
