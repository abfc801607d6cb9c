// A teacher on a device, ready to be asked.
#pragma once

#include <torch/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "losses/statistics.h"
#include "retort/teachers/teacher.h"

namespace retort::teachers {

/// A teacher with its network, parameters and statistics on a device.
struct LoadedTeacher {
  Teacher teacher;
  std::unique_ptr<nets::Network> network;
  at::Tensor theta, state;
  std::string hash;  ///< of network, parameters and statistics: 16 hexadecimal digits

  /// [N, K], with its running statistics, or with those of the images at hand.
  at::Tensor logits(const at::Tensor& images, bool batch_statistics = false) const;
  int64_t bytes() const;  ///< of parameters and statistics
};

/// Reads and checks a teacher; ConfigError where `path` is empty. `use.doing` says what for,
/// without the teacher's name.
LoadedTeacher open_teacher(const std::filesystem::path& path, TeacherUse use, at::Device device);
/// The same for a data set as it was opened.
LoadedTeacher open_teacher(const std::filesystem::path& path, const std::string& doing,
                           const data::Dataset& data, at::Device device);

/// What a BatchNorm layer keeps, as tensors of the type asked for.
struct KeptStatistics {
  std::string tap;  ///< of the moments [G, 2, C] of what enters the layer
  losses::Moments moments;
};
/// Of all layers, in the order of norm_layers.
std::vector<KeptStatistics> kept_statistics(const LoadedTeacher& teacher, at::ScalarType type);

}  // namespace retort::teachers
