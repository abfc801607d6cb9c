// One pass over the steps of a plan with derivatives along a direction of the parameters, forward
// and back, over a whole batch: maps are [2 rows], values and then tangents. On the way back the
// derivatives of cotangents stand first, so that a batch of [x, x.] meets [dz., dz] in one
// correlation.
#pragma once

#include <vector>

#include "nets/graph/conv.h"
#include "nets/graph/pass.h"
#include "nets/graph/tangent_join.h"
#include "nets/graph/tangent_norms.h"

namespace retort::nets {

/// What a pass is evaluated at.
struct TangentCall {
  const float *theta, *direction;
  const float* state;  ///< running statistics that norms take; null: the batch's
  int64_t rows;
};

class GraphTangentPass {
 public:
  /// `along`: the direction's weights.
  GraphTangentPass(const Plan& plan, const PackedPlan& packed, const PackedPlan& along,
                   Arena& arena, TangentCall call);
  /// images [rows, C, H, W] to features and their derivatives [2 rows, F], which live as long as
  /// the arena's memory.
  const float* forward(const float* images);
  /// dfeatures [2 rows, F]: cotangents, then their derivatives. `into` gets derivatives, where
  /// it is not null; theta's are added.
  void backward(const float* dfeatures, const PassInto& into);

 private:
  /// What belongs to a map in the join that takes it.
  struct MapState {
    const PlanTerm* term = nullptr;
    NormCoefficients found;
    TangentCoefficients along;
    DualMoments moments{};
  };
  /// What a map gets on the way back.
  struct MapBack {
    int64_t step;
    DualMapSums sums;
    NormSlopes slopes = {};
    TangentSlopes tangents = {};
  };
  /// [dx., dx], and a second part of dx. where there is one.
  struct Cotangent {
    float *both, *part;
  };

  const PlanStep& step(int64_t i) const { return plan_.steps[to_size(i)]; }
  NormCall norm_of(const MapState& map, const PlanStep& conv) const;
  float* take(int64_t size) { return buffers_.take(2 * call_.rows * size); }
  const float* input_of(const PlanStep& s) const {
    return s.from < 0 ? images_ : out_[to_size(s.from)];
  }
  void prepare(const PlanStep& join);
  void forward_step(int64_t i);
  void forward_conv(int64_t i);
  void measure(int64_t conv, const float* second, int64_t image);
  void settle(int64_t map);
  void join(int64_t i, int64_t image);
  void affine(int64_t i, int64_t image);
  void pool(int64_t i, int64_t image);
  void sum_cotangents(int64_t i, int64_t n);
  void release_cotangents(int64_t i);
  void backward_affine(int64_t i, float* dtheta);
  void backward_pool(int64_t i);
  void backward_conv(int64_t i, const PassInto& into);
  void backward_images(int64_t i, float* images);
  void backward_join(int64_t i, float* dtheta);
  void gate(int64_t i, const std::vector<MapBack>& backs, float* g, int64_t image);
  void slope(MapBack& back, float* dtheta);
  void lower(const std::vector<MapBack>& backs, const float* g, int64_t image);
  ByChannel by_channel(bool shared, int64_t channels);

  const Plan& plan_;
  const PackedPlan &packed_, &along_;
  Arena& arena_;
  const TangentCall call_;
  Buffers buffers_;
  const float* images_ = nullptr;
  std::vector<float*> out_;                         // of every step
  std::vector<MapState> maps_;                      // of every map
  std::vector<AffineMaps> affine_, affine_along_;   // of every kAffine
  std::vector<std::vector<Cotangent>> cotangents_;  // of every step's values
};

}  // namespace retort::nets
