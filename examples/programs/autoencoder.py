"""Trains an autoencoder of maps: a script as a lab has many, which knows nothing of Ablate."""

import argparse
import csv
import pathlib

import numpy as np
import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="an array of maps, N x 1 x H x W")
    parser.add_argument("--test", required=True, help="maps that are not trained on")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    torch.manual_seed(given.seed)
    train, test = (torch.from_numpy(np.log(np.load(path))).flatten(1) for path in (given.data, given.test))
    mean, deviation = train.mean(), train.std()
    train, test = (train - mean) / deviation, (test - mean) / deviation
    pixels = train.shape[1]
    net = nn.Sequential(
        nn.Linear(pixels, 2 * given.width), nn.SiLU(), nn.Linear(2 * given.width, given.width),
        nn.SiLU(), nn.Linear(given.width, pixels),
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=given.lr)

    given.out.mkdir(parents=True, exist_ok=True)
    with open(given.out / "log.csv", "w", newline="") as file:
        log = csv.writer(file)
        log.writerow(["epoch", "train_loss", "test_loss"])
        for epoch in range(1, given.epochs + 1):
            losses = []
            for batch in train[torch.randperm(len(train))].split(32):
                loss = nn.functional.mse_loss(net(batch), batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            with torch.no_grad():
                test_loss = nn.functional.mse_loss(net(test), test).item()
            log.writerow([epoch, sum(losses) / len(losses), test_loss])
            print(f"epoch {epoch}: train {sum(losses) / len(losses):.4f}, test {test_loss:.4f}")
    torch.save(net.state_dict(), given.out / "model.pt")


if __name__ == "__main__":
    main()
