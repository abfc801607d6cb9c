// Which sets come as idx files under MNIST's names. No torch here.
#pragma once

#include <string>

#include "retort/data/raw.h"

namespace retort::data {

/// Gives a read set its name, its class names and published values: by the prefix of its files'
/// names ("emnist-letters-"), by its pixels, by its folder. Published values only where the pixels
/// are those of the set; a note where they are not known. `from_one`: its labels counted from 1.
void name_idx_set(RawDataset& raw, const std::string& prefix, const std::string& folder,
                  bool from_one);

}  // namespace retort::data
