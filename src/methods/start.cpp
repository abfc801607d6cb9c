#include "methods/start.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "retort/core/error.h"
#include "retort/core/random.h"
#include "retort/data/class_sampler.h"

namespace retort::methods {
namespace {

std::string size_text(int64_t images, size_t classes, at::IntArrayRef shape) {
  return fmt::format("{} images of {} classes, {}x{}x{} each", images, classes, shape[0], shape[1],
                     shape[2]);
}

/// StateError where its images are not those of a set like `wanted`.
void require_fit(const DistillInput& input, const synthetic::Bundle& bundle,
                 const synthetic::SetLayout& wanted, const std::string& doing) {
  const std::string advice = "give the --images-per-class and --data that it was made with";
  const std::vector<int64_t> shape{wanted.channels, wanted.height, wanted.width};
  const at::IntArrayRef held = bundle.images.sizes().slice(1);
  const std::string ours = size_text(wanted.size(), wanted.counts.size(), shape);
  const std::string theirs = size_text(bundle.images.size(0), bundle.class_names.size(), held);
  if (ours != theirs) throw StateError(ErrorMessage{doing, "it holds " + theirs, ours, advice});
  if (bundle.counts() != wanted.counts)
    throw StateError(ErrorMessage{
        doing, "its classes have other numbers of images than are asked for", {}, advice});
  // Another split has another mean: it is the cause, and is named before it.
  data::check_split(synthetic::made_from(bundle, input.options.init_from), doing, input.data);
  const std::vector<double>&own = bundle.preprocessing.mean(),
        &data = input.data.preprocessing.mean();
  constexpr double kRounding = 1e-6;  // sets come back from exports in single precision
  const auto same = [](double a, double b) { return std::abs(a - b) <= kRounding; };
  if (bundle.preprocessing.kind() != input.data.preprocessing.kind() ||
      !std::equal(own.begin(), own.end(), data.begin(), data.end(), same))
    throw StateError(
        ErrorMessage{doing,
                     "its images are normalised in another way than the data are",
                     {},
                     "give the same --data and --normalisation that it was made with"});
}

/// True where the bundle has the compact tensors of the parametrisation.
bool same_compact_tensors(const DistillInput& input,
                          const synthetic::Parametrisation& parametrisation,
                          const synthetic::Bundle& bundle) {
  if (bundle.parametrisation != input.options.parametrisation || bundle.compact.empty())
    return false;
  for (const auto& [name, tensor] : parametrisation.compact()) {
    const auto found = bundle.compact.find(name);
    if (found == bundle.compact.end() || found->second.sizes() != tensor.sizes() ||
        found->second.scalar_type() != tensor.scalar_type())
      return false;
  }
  return true;
}

synthetic::Bundle bundle_to_start_from(const DistillInput& input,
                                       const synthetic::Parametrisation& parametrisation) {
  const std::string& path = input.options.init_from;
  const std::string doing = "starting from '" + path + "'";
  synthetic::Bundle bundle = synthetic::load_bundle(path);
  synthetic::fill_preprocessing(bundle, input.data);
  require_fit(input, bundle, parametrisation.layout(), doing);
  if (!parametrisation.starts_from_images() &&
      !same_compact_tensors(input, parametrisation, bundle))
    throw StateError(ErrorMessage{
        doing,
        fmt::format("it holds '{}', and '{}' would not start from its images but from random "
                    "numbers",
                    bundle.parametrisation, input.options.parametrisation),
        fmt::format("a bundle of '{}' with the same options", input.options.parametrisation),
        "or choose options of the parametrisation by which it starts from images"});
  return bundle;
}

/// Equal images have equal gradients and would stay equal: those that repeat others are moved a
/// little.
at::Tensor with_noise(at::Tensor images, const std::vector<int64_t>& repeated, uint64_t seed) {
  if (repeated.empty()) return images;
  constexpr double kDeviation = 0.1;  // of inputs, whose own is about 1
  at::Tensor noise = at::empty({std::ssize(repeated), images[0].numel()});
  RandomStream(seed, "initialisation.again").fill_normal(noise.data_ptr<float>(), noise.numel());
  const at::Tensor rows = at::tensor(repeated, at::kLong).to(images.device());
  images.index_add_(
      0, rows, noise.mul_(kDeviation).view_as(images.index_select(0, rows)).to(images.device()));
  return images;
}

at::Tensor initial_images(const DistillInput& input, const synthetic::SetLayout& layout) {
  const auto seed = static_cast<uint64_t>(input.options.seed);
  if (input.options.initialisation == "noise") {
    at::Tensor noise = at::empty({layout.size(), layout.channels, layout.height, layout.width});
    RandomStream(seed, "initialisation.noise").fill_normal(noise.data_ptr<float>(), noise.numel());
    return noise.to(input.device);
  }
  std::vector<int64_t> rows, repeated;
  for (size_t c = 0; c < layout.counts.size(); ++c) {
    const auto all = std::ssize(input.data.train.rows_by_class[c]);
    RandomStream draw(seed, "initialisation.real", c);
    // A parametrisation may decode to more images than there are: all of them, then again.
    for (int64_t left = layout.counts[c]; left > 0; left -= all) {
      const bool again = left < layout.counts[c];
      for (const int64_t row :
           data::draw_rows(input.data.train, draw, static_cast<int64_t>(c), left)) {
        if (again) repeated.push_back(std::ssize(rows));
        rows.push_back(row);
      }
    }
  }
  return with_noise(rows_as_input(input, rows), repeated, seed);
}

void copy_compact_tensors(synthetic::Parametrisation& parametrisation,
                          const synthetic::Bundle& bundle) {
  for (auto& [name, tensor] : parametrisation.compact())
    at::Tensor(tensor).copy_(bundle.compact.at(name));
}

}  // namespace

at::Tensor rows_as_input(const DistillInput& input, const std::vector<int64_t>& rows) {
  return input.data.preprocessing.gather(input.data.train.images, at::tensor(rows, at::kLong),
                                         input.device);
}

void check_start(const DistillInput& input, const synthetic::Parametrisation& parametrisation) {
  if (!input.options.init_from.empty()) bundle_to_start_from(input, parametrisation);
}

void start(const DistillInput& input, synthetic::Parametrisation& parametrisation,
           Objective& objective) {
  if (input.options.init_from.empty()) {
    const at::Tensor images = initial_images(input, parametrisation.layout());
    parametrisation.initialise(objective.starting_images(images, /*given=*/false));
  } else {
    const synthetic::Bundle bundle = bundle_to_start_from(input, parametrisation);
    const at::Tensor images =
        objective.starting_images(bundle.images.to(input.device), /*given=*/true);
    if (same_compact_tensors(input, parametrisation, bundle))
      copy_compact_tensors(parametrisation, bundle);
    else
      parametrisation.initialise(images);
  }
  const synthetic::SetLayout& layout = parametrisation.layout();
  objective.start({parametrisation.decode(), layout.labels(), layout.offsets()});
}

}  // namespace retort::methods
