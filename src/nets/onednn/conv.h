// Convolutions of oneDNN on its blocked layout, each made once for its shape. Make and run them
// inside a SingleThreadScope: a convolution made on one thread is run by one.
#pragma once

#include <dnnl.hpp>

#include <cstdint>
#include <map>
#include <mutex>
#include <tuple>

namespace retort::nets {

/// Which product a convolution is.
enum class Product {
  kForward,  ///< input, weight to output
  kInput,    ///< cotangent of the output, weight to that of the input
  kWeight,   ///< input, cotangent of the output to that of the weight
};

/// A convolution of stride 1 with square kernels. Inputs of few channels (1 to 4) are plain
/// [N, C, H, W]; all else is blocked.
struct ConvShape {
  Product product;
  int64_t images, in, out, height, width, kernel, padding;
  auto key() const { return std::tie(product, images, in, out, height, width, kernel, padding); }
  bool operator<(const ConvShape& other) const { return key() < other.key(); }
};

/// A convolution that is ready to run. The descriptors say how each memory is laid out.
struct ConvPlan {
  dnnl::primitive primitive;
  dnnl::memory::desc input, weight, output, scratch;
};

/// Channels of a block on this processor: 16 with AVX-512, 8 with AVX2, 0 where oneDNN has no fast
/// blocked convolutions.
int64_t channel_block();

/// True where Winograd's F(4x4, 3x3) is used: a table by instruction set, product and shape, filled
/// from benchmarks/conv_ceiling. Nothing is timed within a run.
bool by_winograd(const ConvShape& shape);

/// All convolutions of one network. Thread-safe; a plan stays where it is.
class ConvPlans {
 public:
  const ConvPlan& get(const ConvShape& shape);
  const dnnl::engine& engine() const { return engine_; }

 private:
  ConvPlan make(const ConvShape& shape) const;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  std::mutex mutex_;
  std::map<ConvShape, ConvPlan> plans_;
};

/// A plain [out, in, k, k] weight of floats.
dnnl::memory::desc plain_weight(int64_t out, int64_t in, int64_t kernel);

/// Copies between layouts; adds to what is there where `add`.
void reorder(const dnnl::engine& engine, const dnnl::memory::desc& from, const float* source,
             const dnnl::memory::desc& to, float* target, bool add = false);

/// Runs a plan: arguments in the order input, weight, output, whatever the product.
void run(const dnnl::engine& engine, const ConvPlan& plan, Product product, const float* input,
         const float* weight, const float* output, float* scratch);

}  // namespace retort::nets
