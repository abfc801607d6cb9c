// The Tiny-ImageNet layout. No torch here.
#pragma once

#include "retort/data/raw.h"

namespace retort::data {

Reader tiny_imagenet_reader();

}  // namespace retort::data
