// A teacher: a trained network with its running statistics and everything that a later stage must
// agree with. One safetensors file; docs/formats.md describes it.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "retort/data/dataset.h"
#include "retort/nets/network.h"

namespace retort::teachers {

/// A trained network, on the CPU.
struct Teacher {
  std::string network;  ///< a specification that nets::make_network takes
  nets::Shape shape;
  at::Tensor theta;                   ///< float32 [P]
  at::Tensor state;                   ///< float32 [S]; undefined where the network has none
  data::Preprocessing preprocessing;  ///< what its inputs went through: none or mean_std
  std::vector<std::string> class_names;
  std::string data_name, data_hash;      ///< the hash is empty where it is not known
  data::SplitIdentity split;             ///< that of its data; imported teachers do not know it
  std::string objective = "supervised";  ///< supervised | moco | simsiam | imported
  std::string statistics = "training";   ///< running statistics: training | recalibrated
  int64_t epochs = 0;                    ///< for the objective; a linear probe's are apart
  double validation_accuracy = 0;        ///< fraction; not a number where it is not known
  std::string recipe;                    ///< TOML of how it was made
  std::string origin = "trained";        ///< or the name of the file it was imported from

  /// The network, with its layout; ConfigError where this program does not know it.
  std::unique_ptr<nets::Network> build() const;
};

/// Writes atomically, one tensor a parameter and running statistic under its name in the network;
/// the same teacher gives the same bytes. StateError where a number is not finite.
void write_teacher(const std::filesystem::path& path, const Teacher& teacher);

/// Checks shapes, names, finiteness and version. DataError, or StateError for a newer format.
Teacher read_teacher(const std::filesystem::path& path);

/// What a stage wants of its teacher.
struct TeacherUse {
  std::string doing;  ///< opens the message: "recovering images with teacher 'a.safetensors'"
  std::vector<std::string> class_names;
  data::Preprocessing preprocessing;
  nets::Shape shape;
  std::string data_hash = {};      ///< empty: any data
  data::SplitIdentity split = {};  ///< not known: any
};

/// StateError naming the first thing that differs, in the four parts: classes and their order,
/// image shape, normalisation, and data and their split where both sides know them.
void check_teacher(const Teacher& teacher, const TeacherUse& use);
/// The same for a data set as it was opened.
void check_teacher(const Teacher& teacher, const std::string& doing, const data::Dataset& data);

/// A layer whose running statistics the state holds, in the order in which it runs; in residual
/// blocks the shortcut's comes last, as in torchvision.
struct NormLayer {
  std::string name;  ///< its input is the tap "<name>.input"
  std::string conv;  ///< the convolution that feeds it; empty where there is none of that name
  int64_t channels = 0;
  int64_t mean = 0, variance = 0;  ///< offsets in the state; both are [channels]
};
std::vector<NormLayer> norm_layers(const nets::Network& network);

}  // namespace retort::teachers
