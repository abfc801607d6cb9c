// The ConvNet family (3x3 convolution, instance norm, ReLU, 2x2 average pooling, one linear layer)
// on a CPU in float32: oneDNN's convolutions on its blocked layout, everything between them in
// single passes over maps in cache. Rows are cut into pieces, a piece stays on one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nets/onednn/weights.h"
#include "nets/sequential/sweep.h"

namespace retort::nets {

class BlockedEngine {
 public:
  /// Null where the network is not of the family or the processor has no blocked convolutions.
  static std::shared_ptr<BlockedEngine> fit(const std::vector<Step>& steps,
                                            const Layout& parameters, const Shape& shape);

  /// True for float32 on the CPU.
  static bool takes(const Part& part);

  std::vector<Gradient> gradient(const std::vector<GradientPart>& parts, Wanted wanted,
                                 const RowLimits& limits);
  std::vector<Directional> directional(const std::vector<SweepPart>& parts, Wanted wanted,
                                       const RowLimits& limits);
  /// taps: "features" and "logits" only.
  Observation observe(const Part& part, const std::vector<std::string>& taps, Back back,
                      const RowLimits& limits);

 private:
  struct Weights;
  struct Frame;
  struct Seen;
  explicit BlockedEngine(BlockedNetwork network) : network_(std::move(network)) {}
  BlockedNetwork network_;
  ConvPlans plans_;
  ArenaPool arenas_;
};

/// The taps that BlockedEngine::observe knows.
bool blocked_taps(const std::vector<std::string>& taps);

constexpr int64_t kBlockedRows = 16;     ///< of a piece that goes back
constexpr int64_t kBlockedForward = 32;  ///< of a piece that does not

}  // namespace retort::nets
