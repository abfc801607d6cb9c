// Rows of labels as bytes. float32 and float16: the logits. int8: a float32 step, then steps from
// the middle of the row's range. top-k: float16 values, 16-bit classes, the float16 mean of the
// other logits.
#include <cmath>
#include <cstring>

#include "core/sizes.h"
#include "teachers/soft_labels.h"

namespace retort::teachers {
namespace {

template <class Value>
void append(std::string& bytes, const at::Tensor& values) {
  const at::Tensor flat = values.contiguous();
  bytes.append(static_cast<const char*>(flat.data_ptr()), to_size(flat.numel()) * sizeof(Value));
}

std::string pack_steps(const at::Tensor& logits) {
  constexpr double kSteps = 254;  // of -127..127
  std::string bytes;
  for (const at::Tensor& row : logits.unbind(0)) {
    const at::Tensor low = row.min(), high = row.max();
    const at::Tensor step = ((high - low) / kSteps).clamp_min(1e-20);
    append<float>(bytes, step);
    append<int8_t>(bytes, ((row - (high + low) / 2) / step).round().to(at::kChar));
  }
  return bytes;
}

std::string pack_largest(const at::Tensor& logits, int64_t k) {
  const auto [values, classes] = logits.topk(k, 1);
  const at::Tensor rest = (logits.sum(1) - values.sum(1)) / static_cast<double>(logits.size(1) - k);
  const at::Tensor halves = values.to(at::kHalf), indices = classes.to(at::kShort),
                   others = rest.to(at::kHalf);
  std::string bytes;
  for (int64_t i = 0; i < logits.size(0); ++i) {
    append<at::Half>(bytes, halves[i]);
    append<int16_t>(bytes, indices[i]);
    append<at::Half>(bytes, others[i]);
  }
  return bytes;
}

/// A copy of `count` values.
at::Tensor values_at(const std::byte* bytes, int64_t count, at::ScalarType type) {
  at::Tensor values = at::empty({count}, type);
  std::memcpy(values.data_ptr(), bytes, values.nbytes());
  return values;
}

at::Tensor unpack_largest(const LabelPlan& plan, const std::byte* bytes, int64_t rows) {
  const int64_t k = plan.top_k;
  at::Tensor logits = at::empty({rows, plan.classes});
  for (int64_t i = 0; i < rows; ++i, bytes += plan.row_bytes()) {
    const at::Tensor values = values_at(bytes, k, at::kHalf).to(at::kFloat);
    const at::Tensor classes = values_at(bytes + 2 * k, k, at::kShort).to(at::kLong);
    const at::Tensor rest = values_at(bytes + 4 * k, 1, at::kHalf).to(at::kFloat);
    logits[i].copy_(rest.expand({plan.classes}));
    logits[i].index_copy_(0, classes.clamp(0, plan.classes - 1), values);
  }
  return logits;
}

}  // namespace

std::string pack_labels(const LabelPlan& plan, const at::Tensor& logits) {
  const at::Tensor host = logits.to(at::kCPU, at::kFloat);
  if (plan.top_k > 0) return pack_largest(host, plan.top_k);
  if (plan.precision == "int8") return pack_steps(host);
  std::string bytes;
  if (plan.precision == "float16")
    append<at::Half>(bytes, host.to(at::kHalf));
  else
    append<float>(bytes, host);
  return bytes;
}

at::Tensor unpack_labels(const LabelPlan& plan, const std::byte* bytes, int64_t rows) {
  if (plan.top_k > 0) return unpack_largest(plan, bytes, rows);
  const int64_t classes = plan.classes;
  if (plan.precision != "int8")
    return values_at(bytes, rows * classes, plan.precision == "float16" ? at::kHalf : at::kFloat)
        .to(at::kFloat)
        .view({rows, classes});
  at::Tensor logits = at::empty({rows, classes});
  for (int64_t i = 0; i < rows; ++i, bytes += plan.row_bytes())
    logits[i].copy_(values_at(bytes + 4, classes, at::kChar).to(at::kFloat) *
                    values_at(bytes, 1, at::kFloat));
  return logits;
}

}  // namespace retort::teachers
