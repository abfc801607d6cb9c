// Expert trajectories on disk: for every expert the parameters at the start and after each epoch,
// one file an expert, mapped and read one snapshot at a time.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "retort/data/dataset.h"
#include "retort/nets/network.h"

namespace retort::trajectories {

/// A folder of finished expert trajectories, opened for reading. Thread-safe: all calls are const.
class Trajectories {
 public:
  /// Opens the finished experts of `folder`. StateError where one was made from other data, with
  /// another preprocessing or for another network; DataError where there is none, or a file is
  /// damaged.
  Trajectories(const std::filesystem::path& folder, const data::Dataset& data,
               const nets::Network& network);
  ~Trajectories();

  int64_t count() const;   ///< experts
  int64_t epochs() const;  ///< the shortest expert's; snapshots are 0..epochs
  /// float32 [P] on the CPU, a copy.
  at::Tensor snapshot(int64_t expert, int64_t epoch) const;
  /// Names the content: data, network, seeds, settings; the same for a moved folder.
  const std::string& fingerprint() const;

 private:
  struct Expert;
  std::vector<std::unique_ptr<Expert>> experts_;
  std::string fingerprint_;
};

}  // namespace retort::trajectories
