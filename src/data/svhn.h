// SVHN's cropped digits. No torch here.
#pragma once

#include "retort/data/raw.h"

namespace retort::data {

Reader svhn_reader();

}  // namespace retort::data
