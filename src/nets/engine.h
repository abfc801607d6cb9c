// What computes a network's calls. A network asks its engines in order; the first that accepts a
// call takes all of its groups. A new engine is a folder here and a row in engines.cpp.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "nets/layer_builder.h"
#include "nets/row_lanes.h"
#include "retort/nets/network.h"

namespace retort::nets {

constexpr const char* kMoments = ".moments";  ///< ends the name of such a tap

/// A network as engines see it.
struct Definition {
  std::string name;
  Architecture architecture;
  Shape shape;
  Layout parameters, state;
  std::vector<Op> ops;      ///< all that happens, in order; empty where something is not known
  bool sequential = false;  ///< every operation takes the one before it
};

/// A group of rows with what they are evaluated at.
struct Group {
  at::Tensor theta;   ///< [P]
  at::Tensor state;   ///< [S]
  at::Tensor images;  ///< [n, C, H, W]
  NormMode norm = NormMode::kBatch;
  losses::Targets targets = {};       ///< of gradients
  at::Tensor direction = {};          ///< [P], of kGradientJvp
  std::vector<int64_t> offsets = {};  ///< of the rows that have moments of their own; empty: all
  int64_t rows() const { return images.size(0); }
};

/// True where the rows of a group influence each other: batch statistics.
inline bool couples(const Layout& state, const Group& group) {
  return state.size > 0 && group.norm != NormMode::kFrozen;
}

/// Rows begin..begin + count - 1 of targets.
losses::Targets rows_of(const losses::Targets& targets, int64_t begin, int64_t count);

/// What an engine is asked for, of all groups alike.
struct Query {
  Work work = Work::kGradient;
  at::Device device = at::kCPU;        ///< of images and theta
  at::ScalarType type = at::kFloat;    ///< of both
  int64_t rows = 1;                    ///< of all groups together
  MemoryLimit memory = {};             ///< for the passes
  losses::Kind loss = {};              ///< of gradients
  std::vector<std::string> taps = {};  ///< of observations
  WithRespectTo wrt = {};              ///< of observations and gradients
  int64_t keep_bytes = 0;              ///< of gradients: what their `kept` may take
  const KeptPass* kept = nullptr;      ///< of kGradientJvp; engines pass over those of others
  int64_t chunk = 0;  ///< rows of a pass at most, of observations without a way back; 0: any number
};

/// Computes calls. Thread-safe, and independent of the network object that it was made for. Answers
/// have one entry a group, in order; what a call keeps of all groups is in the first. Only what
/// accepts() accepts may be asked for.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string name() const = 0;
  virtual bool accepts(const Query& query) const = 0;
  virtual Observation observe(const Group& group, const Query& query) const;
  virtual std::vector<Gradient> gradient(const std::vector<Group>& groups,
                                         const Query& query) const;
  virtual std::vector<GradientJvp> gradient_jvp(const std::vector<Group>& groups,
                                                const Query& query) const;
};

/// The engines that may take calls of a network of this definition, in order.
std::vector<std::shared_ptr<const Engine>> make_engines(
    const std::shared_ptr<const Definition>& definition);

}  // namespace retort::nets
