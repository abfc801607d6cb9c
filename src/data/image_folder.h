// Folders of images, one folder a class. No torch here.
#pragma once

#include "retort/data/raw.h"

namespace retort::data {

Reader image_folder_reader();

}  // namespace retort::data
