// Checkpoints: the last, and the one before for the case that the last is damaged.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "retort/io/tensor_file.h"

namespace retort {

/// "checkpoint.previous.safetensors" beside "checkpoint.safetensors".
std::filesystem::path previous_checkpoint(const std::filesystem::path& path);
/// The same as save_tensors, and keeps what was there as the previous checkpoint.
void save_checkpoint(const std::filesystem::path& path, const TensorMap& tensors,
                     const std::map<std::string, std::string>& metadata);

/// A checkpoint that was read.
struct Checkpoint {
  TensorFile file;
  std::string path;
  std::string note;  ///< where the previous one had to be taken: what was wrong with the last
};
/// The last checkpoint, or the one before where the last is damaged; DataError where both are.
Checkpoint load_checkpoint(const std::filesystem::path& path);

}  // namespace retort
