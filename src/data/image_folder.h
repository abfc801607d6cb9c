// Folders of images, one folder a class. No torch here.
#pragma once

#include "data/decode.h"
#include "retort/data/raw.h"

namespace retort::data {

Reader image_folder_reader();
/// Its files and classes, with nothing decoded.
Listing list_image_folder(const std::filesystem::path& path, const ReadOptions& options);

}  // namespace retort::data
