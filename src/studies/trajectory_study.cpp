#include "studies/trajectory_study.h"

#include "augment/siamese.h"

namespace retort::studies {

double top_eigenvalue(const nets::Network& network, const at::Tensor& theta,
                      const at::Tensor& images, const at::Tensor& labels, int64_t rounds,
                      RandomStream stream) {
  at::Tensor start = at::empty({theta.size(0)});
  stream.fill_normal(start.data_ptr<float>(), start.numel());
  at::Tensor v = start.to(theta.options());
  v = v / v.norm();
  double eigenvalue = 0;
  for (int64_t i = 0; i < rounds; ++i) {
    const at::Tensor hv = network.gradient_jvp({theta, at::Tensor(), images}, {labels}, v).theta;
    eigenvalue = at::dot(hv, v).item<double>();
    const at::Tensor norm = hv.norm();
    if (norm.item<double>() == 0) return 0;
    v = hv / norm;
  }
  return eigenvalue;
}

std::vector<TrajectoryError> follow(const nets::Network& network, const synthetic::Bundle& bundle,
                                    const trajectories::Trajectories& experts, int64_t expert,
                                    const FollowOptions& options, at::Device device) {
  const at::Tensor images = bundle.images.to(device);
  const losses::Targets targets{
      (bundle.soft_labels.defined() ? bundle.soft_labels : bundle.labels).to(device)};
  const augment::Strategy strategy = augment::parse_strategy(bundle.augmentation);
  const double rate = bundle.student_learning_rate.value_or(options.learning_rate);
  const at::Tensor start = experts.snapshot(expert, 0).to(device);
  at::Tensor theta = start.clone();
  std::vector<TrajectoryError> path;
  for (int64_t epochs = options.expert_epochs; epochs <= experts.epochs();
       epochs += options.expert_epochs) {
    const int64_t begin = std::ssize(path) * options.inner_steps;
    for (int64_t k = 0; k < options.inner_steps; ++k) {
      RandomStream draw(options.seed, "study.augment", static_cast<uint64_t>(expert),
                        static_cast<uint64_t>(begin + k));
      const at::Tensor rows =
          augment::draw_each(strategy, images.size(0), images.size(2), images.size(3), draw);
      const at::Tensor seen = augment::apply(images, rows);
      theta.sub_(network.gradient({theta, at::Tensor(), seen}, targets).theta, rate);
    }
    const at::Tensor there = experts.snapshot(expert, epochs).to(device);
    path.push_back({begin + options.inner_steps, epochs,
                    ((theta - there).norm() / (there - start).norm()).item<double>()});
  }
  return path;
}

}  // namespace retort::studies
