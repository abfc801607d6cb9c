// Image files decoded on all processor cores into one block. No torch here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "retort/data/image_file.h"
#include "retort/data/raw.h"

namespace retort::data {

/// An image file and its class.
struct LabelledFile {
  std::filesystem::path path;
  int64_t label = 0;
};

/// A set of image files before they are decoded: everything of `raw` but the images, and size and
/// channels.
struct Listing {
  RawDataset raw;
  std::vector<LabelledFile> train, test;
};

/// One file as it would be decoded, resized where a resolution is asked for.
DecodedImage decode_file(const LabelledFile& file, const ReadOptions& options);

/// Decodes the files of both parts in their order into `raw`: pixels, labels, channels, height,
/// width. One channel where every file is grey, else RGB. Without a
/// resolution all must have one size. The error of the first bad file in order is thrown, whatever
/// the threads do.
void decode_files(const std::vector<LabelledFile>& train, const std::vector<LabelledFile>& test,
                  const ReadOptions& options, RawDataset& raw);

/// Whether the name ends in .jpg, .jpeg or .png, in any case.
bool has_image_ending(const std::filesystem::path& path);

}  // namespace retort::data
