// One pass over the steps of a plan, forward and back, over a whole batch. No autograd.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nets/graph/affine.h"
#include "nets/graph/conv.h"
#include "nets/graph/norms.h"

namespace retort::nets {

/// What a pass is evaluated at.
struct PassCall {
  const float* theta;
  const float* state;  ///< running statistics that norms take; null: the batch's
  int64_t rows;
  std::vector<int64_t> edges;  ///< of the groups of rows that have moments
  bool moments;                ///< that are wanted
  bool keep;                   ///< for the way back
};

/// Where cotangents go. Those of theta [P] are added to; null leaves them out.
struct PassInto {
  float *theta, *images;
};

class GraphPass {
 public:
  GraphPass(const Plan& plan, const PackedPlan& packed, Arena& arena, PassCall call);
  /// images [rows, C, H, W] to features [rows, F], which live as long as the arena's memory.
  const float* forward(const float* images);
  /// Mean and biased variance of the groups of rows [G, 2, C] at a norm's input, of padded
  /// channels.
  void moments(const PlanTerm& term, float* into) const;
  /// Moves running statistics [S] towards the batch's.
  void update(float* state) const;
  /// `dmoments`: cotangents [G, 2, C] by the step of the map, of padded channels.
  void backward(const float* dfeatures, const std::map<int64_t, const float*>& dmoments,
                const PassInto& into);

 private:
  /// What belongs to a map in the join that takes it.
  struct MapState {
    const PlanTerm* term = nullptr;
    NormCoefficients found;
    float *mean = nullptr, *squares = nullptr, *variance = nullptr;
    MapMoments maps() const { return {mean, squares}; }
  };
  /// What a map gets on the way back.
  struct MapBack {
    int64_t step;
    float *sum = nullptr, *product = nullptr;
    NormSlopes slopes = {};
  };

  const PlanStep& step(int64_t i) const { return plan_.steps[to_size(i)]; }
  NormCall norm_of(const MapState& map, const PlanStep& conv) const;
  float* take(const PlanStep& s) { return buffers_.take(call_.rows * s.size()); }
  ByChannel by_channel(bool shared, int64_t channels);
  void prepare(int64_t join);
  bool follows_at_once(int64_t conv) const;
  void measure(int64_t conv, int64_t image);
  void join(int64_t i, int64_t image);
  void forward_step(int64_t i);
  void forward_conv(int64_t i);
  void pool(int64_t i, int64_t image);
  void settle(int64_t map);
  void release(int64_t i);
  void backward_step(int64_t i, const std::map<int64_t, const float*>& dmoments,
                     const PassInto& into);
  void backward_join(int64_t i, const std::map<int64_t, const float*>& dmoments, float* dtheta);
  void backward_conv(int64_t i, const PassInto& into);
  void backward_affine(int64_t i, float* dtheta);
  void slope(MapBack& back, const std::map<int64_t, const float*>& dmoments, float* dtheta);
  void gate(int64_t i, const std::vector<MapBack>& backs, const float* second, float* g,
            int64_t image);
  void lower(const std::vector<MapBack>& backs, const float* g, int64_t image);
  void give_cotangent(int64_t i, float* cotangent);

  const Plan& plan_;
  const PackedPlan& packed_;
  Arena& arena_;
  const PassCall call_;
  Buffers buffers_;
  const float* images_ = nullptr;
  std::vector<float*> out_;                      // of every step
  std::vector<MapState> maps_;                   // of every map
  std::vector<AffineMaps> affine_;               // of every kAffine
  std::vector<int64_t> left_;                    // uses of every step to come
  std::vector<std::vector<float*>> cotangents_;  // of every step's values
};

}  // namespace retort::nets
