"""What every driver must do, asked of it by one suite; a world without a network; faults at the socket."""
