"""What an agent may do: the tools it is offered, how its calls are read, and how calls to other systems are made."""
