// Arrays of images of any number type as bytes. No torch here.
#pragma once

#include <string>
#include <vector>

#include "io/npy.h"
#include "retort/data/raw.h"

namespace retort::data {

/// An array of images, its name as a user knows it ("set.npz:x_train").
struct ImageArray {
  std::string name;
  NpyArray array;
};

/// Fills channels, height and width, and the pixels of each part as [N, C, H, W]; the arrays are
/// converted alike, with a note where numbers changed. DataError, with the way out, for volumes,
/// other channels and numbers that are no pixels.
void read_images(const std::vector<std::pair<ImageArray, RawImages*>>& arrays, RawDataset& raw);

/// "'name' is float32 [12, 8, 8, 3]".
std::string array_text(const std::string& name, const NpyArray& array);

}  // namespace retort::data
