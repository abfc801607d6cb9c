// CIFAR-10 and CIFAR-100 as Python pickles, as torchvision leaves them on disk. No torch here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/cifar_binary.h"
#include "retort/data/raw.h"

namespace retort::data {

/// Appends the images and labels of one batch file; `path` is only for messages.
void parse_cifar_pickle(std::string_view bytes, const std::string& path, CifarLabels labels,
                        RawImages& out);

/// The list of names under `key` in a meta file.
std::vector<std::string> parse_cifar_meta(std::string_view bytes, const std::string& path,
                                          const std::string& key);

Reader cifar10_pickle_reader();
Reader cifar100_pickle_reader();

}  // namespace retort::data
