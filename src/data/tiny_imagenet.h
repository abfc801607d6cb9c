// The Tiny-ImageNet layout. No torch here.
#pragma once

#include "data/decode.h"
#include "retort/data/raw.h"

namespace retort::data {

Reader tiny_imagenet_reader();
/// Its files and classes, with nothing decoded.
Listing list_tiny_imagenet(const std::filesystem::path& path, const ReadOptions& options);

}  // namespace retort::data
